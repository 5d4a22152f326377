// Frozen files: they are never written to, there are few of them, and each is closed when its pages have gone. Pages
// that several regions share stay shared. Without a child, one process takes both sides.
#include "store/fork_helpers.hpp"
#include "store/swap_fixture.hpp"
#include "store/write_queue.hpp"
#include "support/process.hpp"

#include <gtest/gtest.h>

#include <unistd.h>

#include <cstdint>
#include <random>
#include <vector>

namespace faultline::test {
namespace {

using store::ForkSide;
using store::SwapSpace;

class FrozenFiles : public SwapSpaceOn {};

TEST_P(FrozenFiles, PagesOfSeveralFilesAreReadTogether) {
    Remembered& region = swap().region(16);
    region.write_all(1);
    for (std::uint64_t file = 1; file <= 5; ++file) {
        as_if_forked(swap());
        for (std::uint64_t page = file; page < region.pages(); page += file + 1)
            region.write_version(page, 1, file + 1);
        region.discard(3 * file - 1, 1);
        for (std::uint64_t at_once = 1; at_once <= 16; ++at_once) region.check(at_once);
        swap().audit();
    }
}

TEST_P(FrozenFiles, ARegionOpenedLaterLivesInTheNewFile) {
    Remembered& older = swap().region(16);
    older.write_all(1);
    as_if_forked(swap());
    Remembered& newer = swap().region(16);
    newer.write_all(2);
    older.check(4);
    newer.check(4);
    as_if_forked(swap());
    newer.write_version(3, 2, 3);
    older.check(4);
    newer.check(4);
    EXPECT_EQ(swap().space().frozen_files(), 2U);
}

TEST_P(FrozenFiles, AreNeverWrittenTo) {
    Remembered& goes = swap().region(600);
    Remembered& stays = swap().region(16);
    stays.write_all(1);
    goes.write_all(2);
    ASSERT_EQ(swap().spill_all(), 0);
    const int frozen = ::dup(swap().file().fd());
    as_if_forked(swap());
    const std::uint64_t before = bytes_taken(frozen);
    const auto changed = status_of(frozen).st_mtim;
    swap().close(goes);
    Remembered& fresh = swap().region(600);
    fresh.write_all(3);
    stays.check();
    fresh.check();
    ASSERT_EQ(swap().spill_all(), 0);
    EXPECT_EQ(bytes_taken(frozen), before) << "the other process may need it";
    EXPECT_EQ(changed.tv_sec, status_of(frozen).st_mtim.tv_sec);
    EXPECT_EQ(changed.tv_nsec, status_of(frozen).st_mtim.tv_nsec);
    ::close(frozen);
}

TEST_P(FrozenFiles, RegionsThatComeAndGoBetweenForksKeepEachTheirOwnBytes) {
    std::mt19937_64 random{printed_seed()};
    for (std::uint64_t round = 1; round <= 60; ++round) {
        if (swap().regions().size() > 8) swap().close(*swap().regions()[random() % swap().regions().size()]);
        static_cast<void>(swap().region(random() % 40 + 1, random() % 5 == 0 ? 32768 : kPage));
        for (const auto& one : swap().regions()) one->churn(random, 4);
        if (random() % 3 == 0) as_if_forked(swap(), random() % 2 == 0 ? ForkSide::parent : ForkSide::child);
        for (const auto& one : swap().regions()) one->check(random() % Remembered::kMostAtOnce + 1);
        swap().audit();
    }
}

// ---- What is kept, and how long

TEST_P(FrozenFiles, AForkAddsNoneWhenNothingWasWrittenSinceTheLastOne) {
    Remembered& region = swap().region(16);
    as_if_forked(swap());
    EXPECT_EQ(swap().space().frozen_files(), 0U) << "nothing was ever written";
    region.write_all(1);
    as_if_forked(swap());
    const std::size_t descriptors = open_descriptors();
    for (const ForkSide side : {ForkSide::parent, ForkSide::child, ForkSide::parent, ForkSide::child}) {
        const ino_t file = status_of(swap().file().fd()).st_ino;
        as_if_forked(swap(), side);
        const bool same = status_of(swap().file().fd()).st_ino == file;
        EXPECT_EQ(same, side == ForkSide::parent) << "the parent keeps a file without pages, the child gets another";
        EXPECT_EQ(swap().space().frozen_files(), 1U);
        EXPECT_EQ(open_descriptors(), descriptors);
        region.check();
    }
    region.write_all(2);
    region.check();
}

TEST_P(FrozenFiles, AreFewAfterAnyNumberOfForks) {
    Remembered& region = swap().region(300);
    Remembered& large = swap().region(40, 16384);
    region.write_all(1);
    const std::size_t descriptors = open_descriptors();
    for (std::uint64_t round = 0; round < 50; ++round) {
        as_if_forked(swap(), round % 2 == 0 ? ForkSide::parent : ForkSide::child);
        for (std::uint64_t page = round; page < 300; page += 31) region.write_version(page, 1, round + 2);
        region.discard((round * 7) % 300, 1);
        if (round % 3 == 0) large.write_version(round % 40, 1, round);
        ASSERT_NO_FATAL_FAILURE(region.check(16)) << "round " << round;
        ASSERT_NO_FATAL_FAILURE(large.check(16)) << "round " << round;
        EXPECT_LE(swap().space().frozen_files(), SwapSpace::kMostFrozen + 1);
        EXPECT_LE(open_descriptors(), descriptors + SwapSpace::kMostFrozen + 1);
        swap().audit();
    }
    EXPECT_GT(swap().space().frozen_files(), 1U);
}

TEST_P(FrozenFiles, PagesThatRegionsShareStaySharedWhenTheyMoveToTheCurrentFile) {
    Remembered& region = swap().region(40);
    region.write_all(1);
    Remembered& second = swap().clone_of(region);
    Remembered& third = swap().clone_of(region);
    third.discard(0, 10);
    Remembered& other = swap().region(SwapSpace::kMostFrozen + 2);
    for (std::uint64_t round = 0; round < SwapSpace::kMostFrozen + 2; ++round) {
        as_if_forked(swap());
        other.write_version(round, 1, round);
        // The shared pages are alone in their file, which holds more than the others: write others into each.
        Remembered& ballast = swap().region(60);
        ballast.write_all(round);
    }
    EXPECT_EQ(swap().allotted_pages(), 40 + other.pages() + 60 * other.pages());
    for (std::uint64_t page = 0; page < 40; ++page) {
        const store::SlotNumber first = SwapMachine::swap_store(region).location_of(page);
        EXPECT_EQ(SwapMachine::swap_store(second).location_of(page), first);
        EXPECT_EQ(swap().space().slots().table().users(first), page < 10 ? 2U : 3U);
    }
    region.write_version(20, 20, 2);
    region.check();
    second.check();
    third.check();
}

TEST_P(FrozenFiles, ADamagedPageDoesNotStopForks) {
    Remembered& region = swap().region(4);
    region.write_all(1);
    ASSERT_EQ(swap().spill_all(), 0);
    swap().flip_bit(region, 2, 77);
    region.now_has(2, std::nullopt);
    Remembered& other = swap().region(64);
    for (std::uint64_t round = 0; round < 2 * SwapSpace::kMostFrozen; ++round) {
        other.write_version(0, 64, round);
        other.discard(round, 1);
        ASSERT_NO_THROW(as_if_forked(swap())) << "round " << round;
        Remembered& stays = swap().region(8);
        stays.write_all(round);
    }
    EXPECT_EQ(region.error_of_read(2), EIO);
    region.check_range(0, 2);
    region.check_range(3, 1);
    region.discard(2, 1);
}

TEST_P(FrozenFiles, OneIsClosedWhenItsPagesAreAllWrittenAnew) {
    Remembered& region = swap().region(16);
    as_if_forked(swap());
    region.write_all(1);
    as_if_forked(swap());
    region.write_version(0, 8, 2);
    as_if_forked(swap());
    EXPECT_EQ(swap().space().frozen_files(), 2U);
    const std::size_t descriptors = open_descriptors();
    region.write_version(8, 4, 3);
    region.discard(12, 4);
    as_if_forked(swap());
    EXPECT_EQ(swap().space().frozen_files(), 2U);  // one was closed, one was added
    EXPECT_EQ(open_descriptors(), descriptors);
    region.check();
}

TEST_P(FrozenFiles, AreClosedAtTheNextForkOnceTheRegionsHaveGone) {
    const std::size_t descriptors = open_descriptors();
    Remembered& first = swap().region(16);
    Remembered& second = swap().region(16);
    first.write_all(1);
    second.write_all(2);
    as_if_forked(swap());
    first.write_version(0, 4, 3);
    as_if_forked(swap());
    EXPECT_EQ(open_descriptors(), descriptors + 2);
    swap().close(first);
    swap().close(second);
    EXPECT_EQ(swap().space().frozen_files(), 0U);
    as_if_forked(swap());
    EXPECT_EQ(open_descriptors(), descriptors);
}

TEST_P(FrozenFiles, RegionsThatStayFromEachForkKeepFewFiles) {
    const std::size_t descriptors = open_descriptors();
    for (std::uint64_t round = 0; round < 50; ++round) {
        swap().region(round % 20 + 1).write_all(round);
        as_if_forked(swap());
        EXPECT_LE(swap().space().frozen_files(), SwapSpace::kMostFrozen + 1);
        EXPECT_LE(open_descriptors(), descriptors + SwapSpace::kMostFrozen + 1);
        for (const auto& one : swap().regions()) ASSERT_NO_FATAL_FAILURE(one->check(16)) << "round " << round;
    }
}

TEST_P(FrozenFiles, ADiscardGivesBackWhatIsInTheCurrentFileAndLeavesWhatIsFrozen) {
    constexpr std::uint64_t kPages = 8 * kMiB / kPage;
    Remembered& region = swap().region(kPages);
    for (std::uint64_t page = 0; page < kPages; ++page) region.write(page, incompressible(page));
    const int frozen = ::dup(swap().file().fd());
    as_if_forked(swap());
    for (std::uint64_t page = 0; page < kPages / 2; ++page) region.write(page, incompressible(page + kPages));
    const std::uint64_t frozen_before = bytes_taken(frozen);
    const std::uint64_t before = swap().file_bytes();
    region.discard(0, kPages * 3 / 4);
    EXPECT_LE(swap().file_bytes() + 2 * kMiB, before + kFileSystemsOwn);
    EXPECT_EQ(bytes_taken(frozen), frozen_before);
    region.check(8);
    ::close(frozen);
}

TEST_P(FrozenFiles, WhatIsFreeBeforeAForkIsGivenBackBeforeIt) {
    swap().space().set_background_return(true);
    constexpr std::uint64_t kPages = 8 * kMiB / kPage;
    Remembered& region = swap().region(kPages + 1);
    for (std::uint64_t page = 0; page <= kPages; ++page) region.write(page, incompressible(page));
    const int frozen = ::dup(swap().file().fd());
    region.discard(0, kPages / 2);
    const std::uint64_t before = bytes_taken(frozen);
    as_if_forked(swap());
    EXPECT_LE(bytes_taken(frozen) + 4 * kMiB, before + kFileSystemsOwn);
    EXPECT_FALSE(swap().space().has_space_to_return());
    region.check(8);
    ::close(frozen);
}

TEST_P(FrozenFiles, KeepNoBlocksThatWereAllocatedAheadAndNotUsed) {
    constexpr std::uint64_t kPages = 64;
    Remembered& region = swap().region(kPages);
    const int frozen = ::dup(swap().file().fd());
    region.write_all(1);
    ASSERT_EQ(swap().spill_all(), 0);
    store::SequentialWriteQueue queue;
    swap().space().prepare_fork(queue);
    EXPECT_LE(bytes_taken(frozen), kPages * kPage + kFileSystemsOwn);
    swap().space().continue_as(ForkSide::parent);
    region.check(8);
    ::close(frozen);
}

TEST_P(FrozenFiles, AFileIsWrittenToAgainAfterAForkThatFailed) {
    constexpr std::uint64_t kPages = 700;
    Remembered& region = swap().region(kPages);
    for (std::uint64_t page = 0; page < 64; ++page) region.write(page, incompressible(page));
    store::SequentialWriteQueue queue;
    swap().space().prepare_fork(queue);
    swap().space().cancel_fork();
    for (std::uint64_t page = 32; page < kPages; ++page) region.write(page, incompressible(page + kPages));
    region.check(8);
}

INSTANTIATE_TEST_SUITE_P(Each, FrozenFiles, swap_spaces(), SwapSpaceName{});

}  // namespace
}  // namespace faultline::test
