#include "core/event_ring.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace faultline::test {
namespace {

TEST(EventRing, TakesValuesInTheOrderInWhichTheyWerePut) {
    core::EventRing<int> ring{4};
    for (int round = 0; round < 10; ++round) {
        for (int i = 0; i < 3; ++i) ASSERT_TRUE(ring.put(round * 3 + i));
        for (int i = 0; i < 3; ++i) ASSERT_EQ(ring.take(), round * 3 + i);
        ASSERT_EQ(ring.take(), std::nullopt);
    }
}

TEST(EventRing, PutFailsWhenTheRingIsFull) {
    core::EventRing<int> ring{2};
    EXPECT_TRUE(ring.put(1));
    EXPECT_TRUE(ring.put(2));
    EXPECT_FALSE(ring.put(3));
    EXPECT_EQ(ring.take(), 1);
    EXPECT_TRUE(ring.put(4));
    EXPECT_EQ(ring.take(), 2);
    EXPECT_EQ(ring.take(), 4);
}

TEST(EventRing, FillsAndUsesValuesInPlace) {
    core::EventRing<int> ring{2};
    EXPECT_TRUE(ring.put_in_place([](int& value) { value = 1; }));
    EXPECT_TRUE(ring.put(2));
    EXPECT_FALSE(ring.put_in_place([](int&) { FAIL() << "the ring is full"; }));
    int seen = 0;
    const auto refuse = [](const int&) { throw 3; };
    EXPECT_THROW(static_cast<void>(ring.take_in_place(refuse)), int);
    EXPECT_TRUE(ring.take_in_place([&](const int& value) { seen = value; }));
    EXPECT_EQ(seen, 1) << "a value that could not be used stays";
    EXPECT_EQ(ring.take(), 2);
    EXPECT_FALSE(ring.take_in_place([](const int&) { FAIL() << "the ring is empty"; }));
}

TEST(EventRing, NoValueIsLostOrInventedBetweenThreads) {
    constexpr int kEach = 20'000;
    core::EventRing<int> ring{64};
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 3; ++thread) {
        threads.emplace_back([&ring, thread] {
            for (int i = 0; i < kEach; ++i) {
                while (!ring.put(thread * kEach + i)) std::this_thread::yield();
            }
        });
    }
    std::vector<int> next(3);
    for (int taken = 0; taken < 3 * kEach;) {
        const std::optional<int> value = ring.take();
        if (!value) {
            std::this_thread::yield();
            continue;
        }
        ASSERT_EQ(*value % kEach, next[static_cast<std::size_t>(*value / kEach)]++);
        ++taken;
    }
    for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace faultline::test
