// SlotPool and Event: no slot is held twice, and no thread sleeps forever.
#include "sys/slot_pool.hpp"
#include "sys/event.hpp"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <set>
#include <thread>
#include <vector>

namespace faultline::test {
namespace {

using sys::Event;
using sys::SlotPool;

TEST(SlotPool, GivesEachNumberOnceAndThenNone) {
    for (const unsigned slots : {1U, 4U, 31U, 32U, 63U, 64U}) {
        SlotPool pool{slots};
        std::set<unsigned> taken;
        for (unsigned i = 0; i < slots; ++i) taken.insert(pool.try_take());
        EXPECT_EQ(taken.size(), slots);
        EXPECT_EQ(*taken.rbegin(), slots - 1);
        EXPECT_EQ(pool.try_take(), SlotPool::kNone);
        EXPECT_EQ(pool.held(), slots);
        std::set<unsigned> held;
        pool.for_each_held([&](unsigned slot) { held.insert(slot); });
        EXPECT_EQ(held, taken);
        pool.give_back(slots / 2);
        EXPECT_EQ(pool.take(), slots / 2);
    }
}

TEST(SlotPool, AnAddedSlotIsTheNextNumberAndWakesAWaitingThread) {
    SlotPool pool{0};
    EXPECT_EQ(pool.try_take(), SlotPool::kNone);
    for (unsigned slots = 0; slots < SlotPool::kMost; ++slots) {
        EXPECT_EQ(pool.slots(), slots);
        std::thread waiting;
        if (slots % 16 == 0) waiting = std::thread{[&] { EXPECT_EQ(pool.take(), slots); }};
        EXPECT_TRUE(pool.add_slot(slots));
        EXPECT_FALSE(pool.add_slot(slots)) << "another thread has added it";
        if (waiting.joinable()) {
            waiting.join();
        } else {
            EXPECT_EQ(pool.try_take(), slots);
        }
    }
    EXPECT_EQ(pool.slots(), SlotPool::kMost);
}

TEST(SlotPool, ThreadsShareFewerSlotsThanTheyAreAndAllGetTheirTurn) {
    constexpr unsigned kSlots = 2;
    SlotPool pool{kSlots};
    std::array<std::atomic<int>, kSlots> holders{};
    std::vector<std::thread> threads;
    for (int id = 0; id < 6; ++id) {
        threads.emplace_back([&] {
            for (int i = 0; i < 2000; ++i) {
                const unsigned slot = pool.take();
                EXPECT_EQ(holders[slot].fetch_add(1), 0);
                if (i % 16 == 0) std::this_thread::yield();
                holders[slot].fetch_sub(1);
                pool.give_back(slot);
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
}

TEST(SlotPool, WaitsUntilTheLastIsGivenBack) {
    SlotPool pool{64};
    std::array<unsigned, 3> slots{};
    for (unsigned& slot : slots) slot = pool.take();
    std::atomic<int> left{3};
    std::thread holder{[&] {
        for (const unsigned slot : slots) {
            left.fetch_sub(1);
            pool.give_back(slot);
        }
    }};
    pool.wait_until_unused();
    EXPECT_EQ(left.load(), 0);
    EXPECT_EQ(pool.held(), 0U);
    holder.join();
}

TEST(Event, SleepersWakeWhenTheirConditionHolds) {
    constexpr int kTurns = 3000;
    Event event;
    std::atomic<int> turn{0};
    const auto take_turns = [&](int mine) {
        for (int i = mine; i < kTurns; i += 3) {
            event.wait_until([&] { return turn.load() == i; });
            turn.store(i + 1);
            event.notify();
        }
    };
    std::thread second{take_turns, 1};
    std::thread third{take_turns, 2};
    take_turns(0);
    second.join();
    third.join();
    EXPECT_EQ(turn.load(), kTurns);
}

}  // namespace
}  // namespace faultline::test
