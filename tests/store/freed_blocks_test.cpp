// FreedBlocks: freed units are punched in large pieces, and units in use never are, whatever threads do at once.
#include "store/freed_blocks.hpp"

#include "core/units.hpp"
#include "store/interleaving.hpp"
#include "store/sizes.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <random>
#include <thread>
#include <utility>
#include <vector>

namespace faultline::test {
namespace {

using store::FreedBlocks;

constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;
constexpr std::uint64_t kAll = ~std::uint64_t{0};

using Holes = std::vector<std::pair<std::uint64_t, std::uint64_t>>;

class FreedBlocksOf64MiB : public testing::Test {
protected:
    void SetUp() override { blocks_.grow_to(64 * kMiB); }

    void write(std::uint64_t offset, std::uint64_t bytes = kUnit) { blocks_.mark_in_use(offset, bytes); }
    void free(std::uint64_t offset, std::uint64_t bytes = kUnit) { blocks_.free(offset, bytes); }
    Holes punch_what_is_due(std::uint64_t keep_bytes = kAll) {
        Holes holes;
        while (blocks_.punch_one(keep_bytes, [&](auto offset, auto bytes) { holes.emplace_back(offset, bytes); })) {
        }
        return holes;
    }
    Holes punch_everything() {
        blocks_.mark_fullest_due(kAll);
        return punch_what_is_due(0);
    }

    FreedBlocks blocks_;
};

TEST_F(FreedBlocksOf64MiB, AMiBThatIsInUseIsNotDue) {
    write(0, kMiB);
    for (std::uint64_t at = 0; at < kMiB; at += 2 * kUnit) free(at);
    EXPECT_FALSE(blocks_.any_due());
    EXPECT_EQ(blocks_.freed_bytes(), kMiB / 2);
    EXPECT_EQ(punch_what_is_due(), Holes{});
}

TEST_F(FreedBlocksOf64MiB, AMiBThatIsNotInUseAnyMoreIsPunchedWithOneCall) {
    write(3 * kMiB, kMiB);
    for (std::uint64_t at = 0; at < kMiB; at += 2 * kUnit) free(3 * kMiB + at);
    for (std::uint64_t at = kUnit; at < kMiB; at += 2 * kUnit) free(3 * kMiB + at);
    EXPECT_TRUE(blocks_.any_due());
    EXPECT_EQ(punch_what_is_due(), (Holes{{3 * kMiB, kMiB}}));
    EXPECT_EQ(blocks_.freed_bytes(), 0U);
    EXPECT_FALSE(blocks_.any_due());
}

TEST_F(FreedBlocksOf64MiB, WhatWasNeverWrittenBelongsToThePieceAroundIt) {
    for (std::uint64_t at = 0; at < kMiB; at += 16 * kUnit) write(at);
    for (std::uint64_t at = 0; at < kMiB; at += 16 * kUnit) free(at);
    EXPECT_EQ(punch_what_is_due(), (Holes{{0, kMiB}}));
}

TEST_F(FreedBlocksOf64MiB, NeighboursArePunchedWithOneCallAndNotWhatIsInUseBehind) {
    write(0, 4 * kMiB);
    free(0, 3 * kMiB);
    EXPECT_EQ(punch_what_is_due(), (Holes{{0, 3 * kMiB}}));
}

TEST_F(FreedBlocksOf64MiB, ScatteredUnitsArePunchedWhenTheyAreAskedFor) {
    write(0, kMiB);
    free(kUnit, 2 * kUnit);
    free(9 * kUnit);
    EXPECT_EQ(punch_everything(), (Holes{{kUnit, 2 * kUnit}, {9 * kUnit, kUnit}}));
    EXPECT_EQ(blocks_.freed_bytes(), 0U);
}

TEST_F(FreedBlocksOf64MiB, TheFullestAreListedFirstAndNoMoreThanIsAskedFor) {
    write(0, 3 * kMiB);
    free(0);
    free(kMiB, 200 * kUnit);
    free(2 * kMiB, 16 * kUnit);
    blocks_.mark_fullest_due(kUnit);
    EXPECT_EQ(punch_what_is_due(0), (Holes{{kMiB, 200 * kUnit}}));
    blocks_.mark_fullest_due(kUnit);
    EXPECT_EQ(punch_what_is_due(0), (Holes{{2 * kMiB, 16 * kUnit}}));
}

TEST_F(FreedBlocksOf64MiB, AMiBThatIsWrittenToAgainIsPassedOverWhereLittleIsFreed) {
    write(0, kMiB);
    free(0, kMiB);
    write(5 * kUnit);
    EXPECT_EQ(punch_what_is_due(kMiB), Holes{});
    free(5 * kUnit);
    EXPECT_EQ(punch_what_is_due(kMiB), (Holes{{0, kMiB}}));
}

TEST_F(FreedBlocksOf64MiB, AWriteThatComesBeforeThePunchKeepsItsUnits) {
    write(0, kMiB);
    free(0, kMiB);
    write(7 * kUnit, 2 * kUnit);
    EXPECT_EQ(punch_everything(), (Holes{{0, 7 * kUnit}, {9 * kUnit, kMiB - 9 * kUnit}}));
}

TEST_F(FreedBlocksOf64MiB, WhatIsForgottenIsNotPunchedAgain) {
    write(0, 2 * kMiB);
    free(0, kMiB);
    free(kMiB);
    blocks_.untrack(0, kMiB);
    EXPECT_EQ(blocks_.freed_bytes(), kUnit);
    EXPECT_EQ(punch_everything(), (Holes{{kMiB, kUnit}}));
}

TEST_F(FreedBlocksOf64MiB, ForgettingTheLastUnitInUseMakesTheRestDue) {
    write(0, kMiB);
    free(0, kMiB / 2);
    blocks_.untrack(kMiB / 2, kMiB / 2);
    EXPECT_EQ(punch_what_is_due(), (Holes{{0, kMiB}}));
}

TEST_F(FreedBlocksOf64MiB, AUnitThatIsFreedWhileItIsWrittenAndAfterwardsIsPunchedAfterwards) {
    write(0);
    free(0);              // the page is freed while its write is in flight
    punch_what_is_due();  // during the write
    free(0);              // the write has ended and has left a block
    EXPECT_EQ(punch_what_is_due(), (Holes{{0, kMiB}}));
}

TEST_F(FreedBlocksOf64MiB, AWriteToAPieceThatIsBeingPunchedWaitsForTheEndOfThePunch) {
    write(0, 2 * kMiB);
    free(0, 2 * kMiB);
    std::atomic<int> id{0};
    std::atomic<bool> writing{false};
    std::thread writer;
    ASSERT_TRUE(blocks_.punch_one(0, [&](std::uint64_t offset, std::uint64_t bytes) {
        ASSERT_EQ(bytes, 2 * kMiB - offset);
        writer = std::thread{[&] {
            id.store(this_thread_id());
            write(kMiB + 3 * kUnit);
            writing.store(true);
        }};
        while (id.load() == 0 || !asleep_or_gone(id.load())) std::this_thread::yield();
        EXPECT_FALSE(writing.load()) << "the hole would land on what is written";
    }));
    writer.join();
    EXPECT_TRUE(writing.load());
    EXPECT_EQ(punch_everything(), Holes{}) << "the unit is in use";
}

TEST_F(FreedBlocksOf64MiB, AWriteBesideAPieceThatIsBeingPunchedDoesNotWait) {
    write(0, 4 * kMiB);
    free(kMiB, kMiB);
    ASSERT_TRUE(blocks_.punch_one(0, [&](std::uint64_t, std::uint64_t) {
        write(0, kMiB);
        write(2 * kMiB, kMiB);
        write(9 * kMiB);
    }));
}

TEST_F(FreedBlocksOf64MiB, WhatIsFreedDuringItsPunchIsPunchedAgain) {
    write(0, kMiB);
    free(0, kMiB);
    ASSERT_TRUE(blocks_.punch_one(0, [&](std::uint64_t, std::uint64_t) { free(0); }));
    EXPECT_EQ(punch_what_is_due(), (Holes{{0, kMiB}}));
}

TEST(FreedBlocks, KnowLongFilesToTheirEnd) {
    FreedBlocks blocks;
    const std::vector<std::uint64_t> places{
        0,          64 * kGiB - kMiB, 64 * kGiB,   127 * kGiB,
        128 * kGiB, 1024 * kGiB,      8192 * kGiB, FreedBlocks::kLargestFile - kMiB};
    for (const std::uint64_t place : places) {
        blocks.grow_to(place + kMiB);
        blocks.mark_in_use(place, kMiB);
    }
    for (const std::uint64_t place : places) blocks.free(place, kMiB);
    std::uint64_t punched = 0;
    while (blocks.punch_one(0, [&](std::uint64_t offset, std::uint64_t bytes) {
        for (const std::uint64_t place : places) punched += place >= offset && place + kMiB <= offset + bytes ? 1U : 0U;
    })) {
    }
    EXPECT_EQ(punched, places.size());
    EXPECT_EQ(blocks.freed_bytes(), 0U);
}

TEST(FreedBlocks, IgnoreWhatIsBeyondTheLargestFile) {
    FreedBlocks blocks;
    blocks.grow_to(2 * FreedBlocks::kLargestFile);
    blocks.mark_in_use(FreedBlocks::kLargestFile, kMiB);
    blocks.free(FreedBlocks::kLargestFile, kMiB);
    EXPECT_FALSE(blocks.any_due());
}

/// Random calls, compared with a plain list of units that are in use, freed, or neither.
TEST(FreedBlocks, PunchAllThatWasFreedAndNothingInUseWhateverTheOrder) {
    enum class Unit : std::uint8_t { hole, live, freed };
    constexpr std::uint64_t kUnits = 5 * kMiB / kUnit;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        std::mt19937_64 random{seed};
        FreedBlocks blocks;
        blocks.grow_to(kUnits * kUnit);
        std::vector<Unit> expected(kUnits, Unit::hole);
        const auto hole = [&](std::uint64_t offset, std::uint64_t bytes) {
            for (std::uint64_t unit = offset / kUnit; unit < (offset + bytes) / kUnit; ++unit) {
                ASSERT_NE(expected[unit], Unit::live) << "seed " << seed << ", unit " << unit;
                expected[unit] = Unit::hole;
            }
        };
        for (int step = 0; step < 3000; ++step) {
            const std::uint64_t first = random() % kUnits;
            const std::uint64_t count = std::min<std::uint64_t>(random() % 4 == 0 ? random() % 300 : 1, kUnits - first);
            const std::uint64_t action = random() % 8;
            if (action < 3) {
                blocks.mark_in_use(first * kUnit, count * kUnit);
                std::fill_n(expected.begin() + static_cast<std::ptrdiff_t>(first), count, Unit::live);
            } else if (action < 7) {
                blocks.free(first * kUnit, count * kUnit);
                for (std::uint64_t unit = first; unit < first + count; ++unit) {
                    if (expected[unit] == Unit::live) expected[unit] = Unit::freed;
                }
            } else {
                blocks.mark_fullest_due(random() % 2 == 0 ? kUnit : 0);
                blocks.punch_one(0, hole);
            }
        }
        blocks.mark_fullest_due(kAll);
        while (blocks.punch_one(0, hole)) {
        }
        EXPECT_EQ(std::count(expected.begin(), expected.end(), Unit::freed), 0) << "seed " << seed;
        EXPECT_EQ(blocks.freed_bytes(), 0U) << "seed " << seed;
    }
}

/// Threads write and free their own units, which are adjacent to those of other threads, while two threads punch. The
/// file is plain memory: a punch during a write shows as a lost byte, and as a race under ThreadSanitizer.
TEST(FreedBlocks, NoPunchLandsOnANewerWriteWhateverThreadsDo) {
    constexpr std::uint64_t kUnits = 2 * kMiB / kUnit;
    constexpr unsigned kWriters = 4;
    constexpr int kRounds = 40'000;
    constexpr std::uint64_t kPunches = 2000;
    FreedBlocks blocks;
    blocks.grow_to(kUnits * kUnit);
    std::vector<std::uint32_t> file(kUnits);
    std::atomic<unsigned> writing{kWriters};
    std::atomic<std::uint64_t> lost{0};
    std::atomic<std::uint64_t> punches{0};
    const auto write_and_free = [&](unsigned thread) {
        std::mt19937_64 random{thread + 1};
        std::vector<std::uint32_t> mine(kUnits / kWriters);  // 0: not in use
        for (int round = 1; round <= kRounds || punches.load() < kPunches; ++round) {
            const std::uint64_t index = random() % mine.size();
            const std::uint64_t unit = index * kWriters + thread;
            if (mine[index] != 0 && file[unit] != mine[index]) lost.fetch_add(1);
            if (mine[index] != 0 && random() % 4 != 0) {
                mine[index] = 0;
                blocks.free(unit * kUnit, kUnit);
            } else {
                mine[index] = static_cast<std::uint32_t>(round);
                blocks.mark_in_use(unit * kUnit, kUnit);
                file[unit] = mine[index];
            }
        }
        for (std::uint64_t index = 0; index < mine.size(); ++index) {
            if (mine[index] != 0 && file[index * kWriters + thread] != mine[index]) lost.fetch_add(1);
        }
        writing.fetch_sub(1);
    };
    const auto punch = [&] {
        while (writing.load() > 0) {
            blocks.mark_fullest_due(kAll);
            const bool any = blocks.punch_one(0, [&](std::uint64_t offset, std::uint64_t bytes) {
                std::fill_n(file.begin() + static_cast<std::ptrdiff_t>(offset / kUnit), bytes / kUnit, 0U);
                punches.fetch_add(1);
            });
            if (!any) std::this_thread::yield();
        }
    };
    std::vector<std::thread> threads;
    for (unsigned thread = 0; thread < kWriters; ++thread) threads.emplace_back(write_and_free, thread);
    for (int thread = 0; thread < 2; ++thread) threads.emplace_back(punch);
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(lost.load(), 0U);
}

}  // namespace
}  // namespace faultline::test
