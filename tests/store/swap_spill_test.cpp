// Compressed pages: what shrinks stays in memory within the limit, the oldest is spilled first, and a spill neither
// loses nor brings back a page, whatever happens to it meanwhile.
#include "store/swap_fixture.hpp"
#include "store/test_queues.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstdint>
#include <memory>
#include <random>
#include <vector>

namespace faultline::test {
namespace {

using store::SequentialWriteQueue;
using store::Whereabouts;

bool in_memory(Remembered& region, std::uint64_t page) {
    return region.store().whereabouts(page * kPage).place == Whereabouts::Place::compressed;
}

class CompressedMemory : public CompressedSwapTest<64> {
protected:
    /// Writes pages that shrink, from page 0 on, until the pool wants to spill. Returns how many.
    static std::uint64_t fill(SwapMachine& swap, Remembered& region) {
        std::uint64_t page = 0;
        for (; !swap.pool().needs_upkeep(); ++page) region.write(page, textlike(page));
        return page;
    }
};

TEST_F(CompressedMemory, KeepsWhatShrinksAndReadsItFromThere) {
    Remembered& region = swap_.region(100);
    for (std::uint64_t page = 0; page < 100; ++page) region.write(page, textlike(page));
    region.check();
    region.check();
    EXPECT_EQ(swap_.stats().original_bytes, 100 * kPage);
    EXPECT_LT(swap_.stats().compressed_bytes, 100 * kPage / 3);
    EXPECT_EQ(swap_.stats().hits, 200U);
    EXPECT_EQ(swap_.stats().misses, 0U);
    EXPECT_EQ(swap_.file_bytes(), 0U) << "nothing was written";
}

TEST_F(CompressedMemory, APageThatIsWrittenAgainFreesTheEntryOfItsLastVersion) {
    Remembered& region = swap_.region(1);
    for (std::uint64_t version = 0; version < 5000; ++version) region.write(0, textlike(version));
    EXPECT_EQ(swap_.stats().original_bytes, kPage);
    EXPECT_LE(swap_.stats().used_bytes, 2 * kSegment);
    EXPECT_EQ(swap_.stats().spills, 0U);
    region.check();
}

TEST_F(CompressedMemory, SpillsTheOldestPagesUntilTheUpperWatermarkIsFree) {
    Remembered& region = swap_.region(8000);
    const std::uint64_t pages = fill(swap_, region);
    EXPECT_EQ(swap_.stats().used_bytes, 61 * kSegment);
    EXPECT_EQ(swap_.stats().spills, 0U);
    EXPECT_TRUE(swap_.space().needs_upkeep());
    SequentialWriteQueue queue;
    EXPECT_EQ(swap_.space().do_upkeep(queue), 0);
    EXPECT_EQ(swap_.stats().used_bytes, 56 * kSegment);
    EXPECT_FALSE(swap_.space().needs_upkeep());
    std::uint64_t spilled = 0;
    while (!in_memory(region, spilled)) ++spilled;
    EXPECT_EQ(spilled, swap_.stats().spills) << "the oldest pages, and no others";
    EXPECT_TRUE(in_memory(region, pages - 1));
    region.check(16);
}

TEST_F(CompressedMemory, WritesNeighboursOfASpillTogether) {
    Remembered& region = swap_.region(200);
    for (std::uint64_t page = 0; page < 200; ++page) region.write(page, textlike(page));
    CountingQueue queue;
    ASSERT_EQ(swap_.pool().spill_all(queue), 0);
    EXPECT_LE(queue.parts.size(), 8U) << "a segment, and no more than the buffer holds, is one write";
    region.check(16);
}

TEST_F(CompressedMemory, SpillsOnlyWhatIsCurrent) {
    Remembered& region = swap_.region(100);
    for (std::uint64_t page = 0; page < 100; ++page) region.write(page, textlike(page));
    for (std::uint64_t page = 0; page < 50; ++page) region.write(page, textlike(1000 + page));
    region.discard(60, 40);
    ASSERT_EQ(swap_.spill_all(), 0);
    EXPECT_EQ(swap_.stats().spills, 60U);
    EXPECT_EQ(swap_.stats().used_bytes, 0U);
    region.check();
}

TEST_F(CompressedMemory, MovesPagesOutOfSparseSegmentsBeforeItSpillsAny) {
    Remembered& region = swap_.region(8000);
    const std::uint64_t pages = fill(swap_, region);
    for (std::uint64_t page = 1; page < pages; page += 2) region.discard(page, 1);
    SequentialWriteQueue queue;
    EXPECT_EQ(swap_.space().do_upkeep(queue), 0);
    EXPECT_LE(swap_.stats().used_bytes, 56 * kSegment);
    EXPECT_EQ(swap_.stats().spills, 0U);
    EXPECT_TRUE(in_memory(region, 0));
    region.check(16);
}

TEST_F(CompressedMemory, MovesPagesTogetherOnceAQuarterIsDeadEvenIfMuchIsFree) {
    Remembered& region = swap_.region(2000);
    for (std::uint64_t page = 0; page < 2000; ++page) region.write(page, textlike(page));
    const std::uint64_t used = swap_.stats().used_bytes;
    ASSERT_LT(used, 32 * kSegment);
    EXPECT_FALSE(swap_.space().needs_upkeep());
    for (std::uint64_t page = 1; page < 2000; page += 2) region.discard(page, 1);
    EXPECT_TRUE(swap_.space().needs_upkeep());
    SequentialWriteQueue queue;
    EXPECT_EQ(swap_.space().do_upkeep(queue), 0);
    EXPECT_LE(swap_.stats().used_bytes, used * 3 / 4);
    EXPECT_FALSE(swap_.space().needs_upkeep());
    EXPECT_EQ(swap_.stats().spills, 0U);
    region.check(16);
}

TEST_F(CompressedMemory, ARegionThatGoesTakesItsPagesAlongAndNoOthers) {
    Remembered& stays = swap_.region(1000);
    Remembered& goes = swap_.region(1000);
    for (std::uint64_t page = 0; page < 1000; ++page) {
        stays.write(page, textlike(page));
        goes.write(page, textlike(page + 5000));
    }
    EXPECT_EQ(swap_.stats().original_bytes, 2000 * kPage);
    swap_.close(goes);
    EXPECT_EQ(swap_.stats().original_bytes, 1000 * kPage);
    EXPECT_EQ(swap_.stats().spills, 0U) << "no page that is gone is written";
    stays.check();
}

TEST_F(CompressedMemory, WithALimitOfNothingEverythingGoesToTheFile) {
    Remembered& region = swap_.region(100);
    region.write_all(1);
    swap_.pool().set_limit(0);
    SequentialWriteQueue queue;
    EXPECT_EQ(swap_.space().do_upkeep(queue), 0);
    region.write_version(0, 50, 2);
    EXPECT_EQ(swap_.pool().do_upkeep(queue), 0);
    EXPECT_EQ(swap_.stats().used_bytes, 0U);
    region.check();
}

class SmallCompressedMemory : public CompressedSwapTest<2> {};

TEST_F(SmallCompressedMemory, AWriteThatFindsNoRoomSpillsTheOldest) {
    Remembered& region = swap_.region(1000);
    for (std::uint64_t page = 0; page < 1000; ++page) region.write(page, textlike(page));
    EXPECT_GT(swap_.stats().spills, 500U);
    EXPECT_LE(swap_.stats().used_bytes, 2 * kSegment);
    EXPECT_FALSE(in_memory(region, 0));
    EXPECT_TRUE(in_memory(region, 999));
    region.check();
}

// ---- Errors

TEST_F(CompressedMemory, WhatCannotBeSpilledStaysAndIsTriedAgain) {
    Remembered& region = swap_.region(300);
    for (std::uint64_t page = 0; page < 300; ++page) region.write(page, textlike(page));
    CountingQueue queue;
    queue.error = EIO;
    EXPECT_EQ(swap_.pool().spill_all(queue), EIO);
    EXPECT_EQ(swap_.stats().spills, 0U);
    swap_.audit();
    region.check();
    queue.error = 0;
    EXPECT_EQ(swap_.pool().spill_all(queue), 0);
    EXPECT_EQ(swap_.stats().spills, 300U);
    region.check();
}

TEST_F(CompressedMemory, OfASpillThatFailsInPartEachPageIsWhereItIsSaidToBe) {
    Remembered& region = swap_.region(600);
    for (std::uint64_t page = 0; page < 600; ++page) region.write(page, textlike(page));
    for (std::uint64_t page = 1; page < 600; page += 4) region.discard(page, 1);  // gaps, so that there are many writes
    CountingQueue queue;
    queue.error = EIO;
    queue.fail_one_in = 3;
    EXPECT_EQ(swap_.pool().spill_all(queue), EIO);
    EXPECT_GT(swap_.stats().spills, 0U);
    swap_.audit();
    region.check();
}

// ---- During a spill

/// Spills page 0, which has the contents `textlike(1)`, and acts on it in the middle.
class DuringASpill : public CompressedSwapTest<64> {
protected:
    void SetUp() override {
        region_ = &swap_.region(2);
        region_->write(0, textlike(1));
    }
    void spill_and_meanwhile(const std::function<void()>& act) {
        IntrudingQueue queue{act};
        static_cast<void>(swap_.pool().spill_all(queue));  // pages that come meanwhile may stay
        EXPECT_TRUE(queue.has_intruded());
        swap_.audit();
    }

    Remembered* region_ = nullptr;
};

TEST_F(DuringASpill, ThePageIsReadFromMemory) {
    spill_and_meanwhile([&] {
        region_->check_range(0, 1);
        EXPECT_TRUE(in_memory(*region_, 0));
    });
    EXPECT_EQ(swap_.stats().hits, 1U);
    EXPECT_FALSE(in_memory(*region_, 0));
    region_->check_range(0, 1);
    EXPECT_EQ(swap_.stats().misses, 1U);
}

TEST_F(DuringASpill, ANewVersionStaysTheNewest) {
    spill_and_meanwhile([&] {
        region_->write(0, textlike(2));
        region_->check_range(0, 1);
    });
    region_->check_range(0, 1);
    ASSERT_EQ(swap_.spill_all(), 0);
    region_->check_range(0, 1);
}

TEST_F(DuringASpill, ANewVersionInTheFileStaysTheNewest) {
    spill_and_meanwhile([&] { region_->write(0, incompressible(2)); });
    region_->check_range(0, 1);
}

TEST_F(DuringASpill, APageThatIsDiscardedDoesNotComeBackAndItsSlotIsFreed) {
    spill_and_meanwhile([&] {
        region_->discard(0, 1);
        EXPECT_EQ(swap_.allotted_pages(), 1U) << "the spill still writes there";
    });
    EXPECT_EQ(swap_.allotted_pages(), 0U);
    EXPECT_EQ(swap_.stats().original_bytes, 0U);
    EXPECT_EQ(swap_.stats().spills, 0U);
}

TEST_F(DuringASpill, ARegionMayGo) {
    spill_and_meanwhile([&] { swap_.close(*region_); });
    EXPECT_EQ(swap_.allotted_pages(), 0U);
}

TEST_F(DuringASpill, APageThatIsSharedHasBothLocationsAfterwards) {
    Remembered* clone = nullptr;
    spill_and_meanwhile([&] { clone = &swap_.clone_of(*region_); });
    clone->check_range(0, 1);
    region_->discard(0, 1);
    clone->check_range(0, 1);
}

TEST_F(DuringASpill, OfALargePageThatIsDiscardedNoPartIsUsedBeforeAllOfItIsFree) {
    constexpr std::size_t kLarge = 65536;
    Remembered& large = swap_.region(40, kLarge);
    large.write(0, textlike(5));
    large.write_version(1, 31, 2);  // fills the chunk
    IntrudingQueue queue{[&] {
        large.discard(0, 1);
        large.write_version(32, 8, 3);  // needs slots
    }};
    static_cast<void>(swap_.pool().spill_all(queue));
    swap_.audit();
    large.check();
}

}  // namespace
}  // namespace faultline::test
