// ReadPlan: reads that continue each other in the file and in memory become one.
#include "store/read_plan.hpp"

#include "store/sizes.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <span>

namespace faultline::test {
namespace {

using store::FileEnd;
using store::ReadPlan;

class ReadPlanTest : public testing::Test {
protected:
    /// Adds a read of a page of file `fd`, at page `in_file`, to page `in_memory`.
    void add(int fd, std::uint64_t in_file, std::size_t in_memory) {
        plan_.add(fd, FileEnd::never, in_file * kPage, std::span{memory_}.subspan(in_memory * kPage, kPage));
    }
    [[nodiscard]] std::size_t reads() const { return plan_.reads().size(); }

    std::array<std::byte, 16 * kPage> memory_{};
    ReadPlan plan_;
};

TEST_F(ReadPlanTest, MergesReadsThatContinueEachOther) {
    for (std::size_t page = 0; page < 16; ++page) add(5, 100 + page, page);
    ASSERT_EQ(reads(), 1U);
    EXPECT_EQ(plan_.reads()[0].fd, 5);
    EXPECT_EQ(plan_.reads()[0].offset, 100 * kPage);
    EXPECT_EQ(plan_.reads()[0].into.data(), memory_.data());
    EXPECT_EQ(plan_.reads()[0].into.size(), 16 * kPage);
}

TEST_F(ReadPlanTest, KeepsReadsOfTwoFilesApart) {
    add(5, 0, 0);
    add(6, 1, 1);
    EXPECT_EQ(reads(), 2U);
}

TEST_F(ReadPlanTest, KeepsReadsApartThatAreNotNeighboursInTheFile) {
    add(5, 0, 0);
    add(5, 2, 1);
    add(5, 1, 2);
    EXPECT_EQ(reads(), 3U);
}

TEST_F(ReadPlanTest, KeepsReadsApartThatAreNotNeighboursInMemory) {
    add(5, 0, 0);
    add(5, 1, 2);
    EXPECT_EQ(reads(), 2U);
}

TEST_F(ReadPlanTest, HasRoomForAReadOfEachPage) {
    for (std::size_t page = 0; page < 16; ++page) add(5, 2 * page, page);
    EXPECT_EQ(reads(), ReadPlan::kMostReads);
    for (std::size_t page = 0; page < 16; ++page) EXPECT_EQ(plan_.reads()[page].offset, 2 * page * kPage);
}

}  // namespace
}  // namespace faultline::test
