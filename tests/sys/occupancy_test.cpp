#include "sys/occupancy.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace faultline::sys {
namespace {

TEST(Occupancy, AnEmptySectionIsNotWaitedFor) {
    Occupancy section;
    section.wait_until_none();
    section.enter();
    section.leave();
    section.wait_until_none();
}

TEST(Occupancy, TheWaitEndsAfterTheLastThreadHasLeft) {
    constexpr int kThreads = 4;
    for (int round = 0; round < 200; ++round) {
        Occupancy section;
        std::atomic<int> inside{0};
        std::atomic<int> left{0};
        std::vector<std::thread> threads;
        for (int i = 0; i < kThreads; ++i) {
            threads.emplace_back([&] {
                section.enter();
                inside.fetch_add(1);
                std::this_thread::yield();
                left.fetch_add(1);
                section.leave();
            });
        }
        while (inside.load() < kThreads) std::this_thread::yield();
        section.wait_until_none();
        EXPECT_EQ(left.load(), kThreads);
        for (std::thread& thread : threads) thread.join();
    }
}

}  // namespace
}  // namespace faultline::sys
