// FaultAround: reading around pays where the pages of a block fault together, and not where they do not.

#include "policy/fault_around.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <random>

namespace faultline::test {
namespace {

using policy::FaultAround;

class Around : public ::testing::Test {
protected:
    static constexpr std::uint64_t kFrames = 4096;
    static constexpr std::uint64_t kBlocks = 8192;

    bool fault(std::uint64_t page) { return around_.on_fault(page, ++now_, kFrames); }

    /// Faults on `used` pages of each of so many blocks, chosen at random. Between two of these faults lie `apart`
    /// other evictions. Returns for which part of the faults in the second half of the blocks the block should be read.
    double part_with(unsigned used, unsigned apart, unsigned blocks) {
        unsigned wanted = 0;
        unsigned asked = 0;
        for (unsigned i = 0; i < blocks; ++i) {
            const std::uint64_t block = random_() % kBlocks;
            for (unsigned page = 0; page < used; ++page) {
                const bool yes = fault(block * FaultAround::kPages + page);
                now_ += apart;
                if (i < blocks / 2) continue;
                ++asked;
                wanted += yes ? 1 : 0;
            }
        }
        return static_cast<double>(wanted) / asked;
    }

    std::mt19937_64 random_{1};
    FaultAround around_;
    std::uint64_t now_ = 0;
};

TEST_F(Around, ReadsBlocksWhosePagesFaultTogetherButThoseOfTheControlGroup) {
    const double part = part_with(8, 3, 4000);
    EXPECT_GT(part, 0.9);
    EXPECT_LT(part, 0.97) << "a sixteenth is the control group";
}

TEST_F(Around, ReadsNoBlockOfWhichOnePageIsUsed) { EXPECT_EQ(part_with(1, 3, 8000), 0); }

TEST_F(Around, ReadsNoBlockWhosePagesFaultLongAfterEachOther) {
    EXPECT_EQ(part_with(8, kFrames, 4000), 0) << "pages that were read around would have left by then";
}

TEST_F(Around, StopsWhenPagesNoLongerFaultTogetherAndBeginsAgain) {
    EXPECT_GT(part_with(8, 3, 4000), 0.9);
    EXPECT_EQ(part_with(1, 3, 8000), 0);
    EXPECT_GT(part_with(8, 3, 4000), 0.9);
}

TEST_F(Around, ReadsNothingBeforeItHasEvidence) {
    for (std::uint64_t page = 0; page < 64; ++page) EXPECT_FALSE(fault(page));
}

}  // namespace
}  // namespace faultline::test
