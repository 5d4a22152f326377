// Faults that read the whole block of their page (policy/fault_around.hpp): they do so in programs that use the pages
// of a block together, and not in others. The contents are right in either case.

#include "policy/fault_around.hpp"
#include "pager_fixture.hpp"
#include "swap_folder.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>
#include <optional>
#include <random>
#include <vector>

namespace faultline::test {
namespace {

class FaultAroundTest : public VariantTest {
protected:
    static constexpr std::uint64_t kPages = 16384;
    static constexpr std::uint64_t kFrames = 4096;
    static constexpr std::uint64_t kBlock = policy::FaultAround::kPages;

    void SetUp() override {
        VariantTest::SetUp();
        if (IsSkipped()) return;
        Config config = config_for(GetParam(), kFrames * kBasePageBytes);
        config.swap_directory = swap_.path();
        pager_.emplace(config);
        region_ = pager_->reserve(kPages * kBasePageBytes);
        for (std::uint64_t page = 0; page < kPages; ++page) store_word(at(page), stamp(page));
    }

    [[nodiscard]] std::byte* at(std::uint64_t page) { return region_.data() + page * kBasePageBytes; }

    /// Reads `used` pages of each block, in random order of the blocks and of their pages.
    void read_blocks(std::uint64_t used) {
        std::vector<std::uint64_t> blocks(kPages / kBlock);
        std::iota(blocks.begin(), blocks.end(), 0);
        std::shuffle(blocks.begin(), blocks.end(), random_);
        for (const std::uint64_t block : blocks) {
            std::array<std::uint64_t, kBlock> pages{};
            std::iota(pages.begin(), pages.end(), block * kBlock);
            std::shuffle(pages.begin(), pages.end(), random_);
            for (std::uint64_t i = 0; i < used; ++i) EXPECT_EQ(load_word(at(pages[i])), stamp(pages[i])) << pages[i];
        }
    }
    /// Returns the figures when no read is in flight.
    [[nodiscard]] RegionStats stats_at_rest() {
        region_.wait_for_advised(region_.data(), region_.size());
        return region_.stats();
    }

    SwapFolder swap_;
    std::mt19937_64 random_{7};
    std::optional<Pager> pager_;
    Region region_;
};

TEST_P(FaultAroundTest, PagesThatAreUsedTogetherComeTogether) {
    for (int round = 0; round < 3; ++round) read_blocks(kBlock);  // learns
    const std::uint64_t faults_before = stats_at_rest().hard_faults;
    read_blocks(kBlock);
    const std::uint64_t faults = stats_at_rest().hard_faults - faults_before;
    EXPECT_LT(faults, kPages / 2);
}

TEST_P(FaultAroundTest, PagesThatAreUsedAloneComeAlone) {
    for (int round = 0; round < 4; ++round) read_blocks(1);
    const std::uint64_t read_ahead_before = stats_at_rest().pages_read_ahead;
    for (int round = 0; round < 4; ++round) read_blocks(1);
    const std::uint64_t read_ahead = stats_at_rest().pages_read_ahead - read_ahead_before;
    EXPECT_LT(read_ahead, kPages / kBlock / 4);
}

INSTANTIATE_TEST_SUITE_P(deliveries, FaultAroundTest, ::testing::ValuesIn(deliveries_and_evictions()), VariantName{});

}  // namespace
}  // namespace faultline::test
