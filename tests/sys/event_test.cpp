#include "sys/event.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace faultline::sys {
namespace {

TEST(Event, AConditionThatHoldsIsNotWaitedFor) {
    Event event;
    int tests = 0;
    event.wait_until([&] { return ++tests > 0; });
    EXPECT_EQ(tests, 1);
}

TEST(Event, NoNotificationIsLost) {
    constexpr int kRounds = 20000;
    Event event;
    std::atomic<int> turn{0};
    const auto play = [&](int mine) {
        for (int round = mine; round < kRounds; round += 2) {
            event.wait_until([&] { return turn.load() == round; });
            turn.store(round + 1);
            event.notify();
        }
    };
    std::thread other{play, 1};
    play(0);
    other.join();
    EXPECT_EQ(turn.load(), kRounds);
}

TEST(Event, OneNotificationWakesAllThreads) {
    Event event;
    std::atomic<bool> open{false};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] { event.wait_until([&] { return open.load(); }); });
    }
    open.store(true);
    event.notify();
    for (std::thread& thread : threads) thread.join();
}

TEST(Event, AWatchSeesANotificationSinceItsConstruction) {
    using namespace std::chrono_literals;
    Event event;
    const Event::Watch watch{event};
    event.notify();
    const std::chrono::nanoseconds limit = 1min;
    const auto begin = std::chrono::steady_clock::now();
    watch.wait(&limit);
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 30s) << "it slept although it was notified";
}

}  // namespace
}  // namespace faultline::sys
