// FrameBudget: used <= limit always, and no thread sleeps through a change. A lost wake-up makes the test hang.
#include "pager/frame/frame_budget.hpp"

#include "pager_parts/threads.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <random>
#include <string>
#include <thread>
#include <utility>

namespace faultline::test {
namespace {

using pager::FrameBudget;
using pager::FrameReservation;

TEST(FrameBudget, ReservesUpToItsLimitAndNoFurther) {
    FrameBudget budget{10};
    EXPECT_TRUE(budget.try_reserve(7));
    EXPECT_FALSE(budget.try_reserve(4));
    EXPECT_TRUE(budget.try_reserve(3));
    EXPECT_FALSE(budget.try_reserve(1));
    EXPECT_EQ(budget.used(), 10);
    EXPECT_EQ(budget.available(), 0);
    budget.release(4);
    EXPECT_EQ(budget.used(), 6);
    EXPECT_TRUE(budget.try_reserve(4));
    budget.release(10);
    EXPECT_EQ(budget.peak(), 10);
}

TEST(FrameBudget, ShrunkBelowWhatIsUsedGrantsNothingUntilEnoughIsBack) {
    FrameBudget budget{10};
    ASSERT_TRUE(budget.try_reserve(10));
    budget.set_limit(4);
    EXPECT_EQ(budget.available(), -6);
    budget.release(6);
    EXPECT_FALSE(budget.try_reserve(1));
    budget.release(1);
    EXPECT_TRUE(budget.try_reserve(1));
}

TEST(FrameBudget, NeverExceedsItsLimitUnderThreads) {
    constexpr std::int64_t kLimit = 20;
    constexpr std::uint64_t kSeed = 4;
    RecordProperty("seed", std::to_string(kSeed));
    FrameBudget budget{kLimit};
    std::atomic<std::int64_t> held{0};  // raised after reserving and lowered before releasing: at most `used`
    std::atomic<std::int64_t> most_held{0};
    std::atomic<std::int64_t> most_used{0};
    const auto raise = [](std::atomic<std::int64_t>& most, std::int64_t value) {
        for (std::int64_t seen = most.load(); seen < value && !most.compare_exchange_weak(seen, value);) {
        }
    };
    run_threads(8, [&](unsigned thread) {
        std::mt19937_64 random{kSeed + thread};
        for (int round = 0; round < 5000; ++round) {
            const auto units = static_cast<std::int64_t>(random() % 8 + 1);
            if (!budget.try_reserve(units)) continue;
            raise(most_held, held.fetch_add(units) + units);
            raise(most_used, budget.used());
            held.fetch_sub(units);
            budget.release(units);
        }
    });
    EXPECT_LE(most_held, kLimit);
    EXPECT_LE(most_used, kLimit);
    EXPECT_EQ(budget.used(), 0);
}

// Does what FrameReclaimer does: watch, look, sleep.
void reserve_or_sleep(FrameBudget& budget, std::int64_t units) {
    for (;;) {
        const FrameBudget::Watch watch{budget};
        if (budget.try_reserve(units)) return;
        watch.wait(nullptr);
    }
}

TEST(FrameBudget, WatchMissesNoRelease) {
    constexpr unsigned kThreads = 12;
    constexpr std::uint64_t kRounds = 3000;
    FrameBudget budget{1};
    std::uint64_t turns = 0;  // guarded by holding the one frame
    run_threads(kThreads, [&](unsigned) {
        for (std::uint64_t round = 0; round < kRounds; ++round) {
            reserve_or_sleep(budget, 1);
            ++turns;
            std::this_thread::yield();  // so that the other threads have to sleep
            budget.release(1);
        }
    });
    EXPECT_EQ(turns, kThreads * kRounds);
    EXPECT_EQ(budget.used(), 0);
}

TEST(FrameBudget, WatchMissesNoRaiseOfTheLimit) {
    constexpr int kRounds = 500;
    for (int round = 0; round < kRounds; ++round) {
        FrameBudget budget{0};
        run_threads(3, [&](unsigned thread) {
            if (thread == 0) {
                budget.set_limit(2);
            } else {
                reserve_or_sleep(budget, 1);
            }
        });
        ASSERT_EQ(budget.used(), 2);
    }
}

TEST(FrameBudget, WatchMissesNoPageThatBecameEvictable) {
    constexpr int kRounds = 500;
    for (int round = 0; round < kRounds; ++round) {
        FrameBudget budget{1};
        std::atomic<bool> evictable{false};
        run_threads(2, [&](unsigned thread) {
            if (thread == 0) {
                evictable.store(true);
                budget.notify();
                return;
            }
            for (;;) {
                const FrameBudget::Watch watch{budget};
                if (evictable.load()) return;
                watch.wait(nullptr);
            }
        });
    }
}

TEST(FrameBudget, WatchThatSawAChangeDoesNotSleep) {
    FrameBudget budget{1};
    const FrameBudget::Watch watch{budget};
    budget.notify();
    watch.wait(nullptr);
}

TEST(FrameBudget, WatchWithALimitReturnsWithoutAChange) {
    FrameBudget budget{1};
    const FrameBudget::Watch watch{budget};
    constexpr std::chrono::nanoseconds kShort = std::chrono::milliseconds{1};
    watch.wait(&kShort);
    EXPECT_EQ(budget.used(), 0);
}

FrameReservation reserved(FrameBudget& budget, std::int64_t units) {
    EXPECT_TRUE(budget.try_reserve(units));
    return {budget, units};
}

TEST(FrameReservation, GivesBackWhatNoPageKept) {
    FrameBudget budget{10};
    {
        FrameReservation frames = reserved(budget, 4);
        EXPECT_TRUE(static_cast<bool>(frames));
        frames.keep(1);
    }
    EXPECT_EQ(budget.used(), 1);
}

TEST(FrameReservation, GivesBackWhatWasAdded) {
    FrameBudget budget{10};
    {
        FrameReservation frames = reserved(budget, 1);
        ASSERT_TRUE(budget.try_reserve(3));
        frames.add(3);
        EXPECT_EQ(budget.used(), 4);
    }
    EXPECT_EQ(budget.used(), 0);
}

TEST(FrameReservation, GivesBackOnceHoweverOftenItMoves) {
    FrameBudget budget{10};
    {
        FrameReservation first = reserved(budget, 3);
        FrameReservation second = std::move(first);
        FrameReservation third;
        EXPECT_FALSE(static_cast<bool>(third));
        third = std::move(second);
        EXPECT_EQ(budget.used(), 3);
    }
    EXPECT_EQ(budget.used(), 0);
}

TEST(FrameReservation, GivesBackItsOwnWhenItTakesAnothers) {
    FrameBudget budget{10};
    FrameReservation frames = reserved(budget, 3);
    frames = reserved(budget, 2);
    EXPECT_EQ(budget.used(), 2);
    frames = {};
    EXPECT_EQ(budget.used(), 0);
    EXPECT_FALSE(static_cast<bool>(frames));
}

}  // namespace
}  // namespace faultline::test
