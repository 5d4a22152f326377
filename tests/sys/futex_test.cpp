// FutexLock excludes other threads, and futex_wait returns when it should. A lost wake-up shows as a test that hangs.
#include "sys/futex.hpp"
#include "support/run_threads.hpp"
#include "sys/blocked_signals.hpp"
#include "sys/futex_lock.hpp"
#include "sys/signal_block.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <mutex>
#include <thread>

namespace faultline::test {
namespace {

TEST(FutexLock, LetsOneThreadInAtATime) {
    constexpr unsigned kThreads = 8;
    constexpr std::uint64_t kRounds = 20'000;
    sys::FutexLock lock;
    std::uint64_t inside = 0;  // guarded by lock
    run_threads(kThreads, [&](unsigned) {
        for (std::uint64_t round = 0; round < kRounds; ++round) {
            const std::scoped_lock held{lock};
            ++inside;
        }
    });
    EXPECT_EQ(inside, kThreads * kRounds);
}

// Holders that lose the CPU while they hold the lock: the other threads sleep, and each must be woken.
TEST(FutexLock, WakesEverySleeper) {
    constexpr unsigned kThreads = 8;
    constexpr std::uint64_t kRounds = 1000;
    sys::FutexLock lock;
    std::uint64_t inside = 0;  // guarded by lock
    run_threads(kThreads, [&](unsigned) {
        for (std::uint64_t round = 0; round < kRounds; ++round) {
            const std::scoped_lock held{lock};
            ++inside;
            std::this_thread::yield();
        }
    });
    EXPECT_EQ(inside, kThreads * kRounds);
}

TEST(Futex, DoesNotSleepOnAWordThatChanged) {
    const std::atomic<std::uint32_t> word{1};
    sys::futex_wait(word, 0);
    EXPECT_EQ(word.load(), 1U);
}

TEST(Futex, SleepsNoLongerThanItsLimit) {
    const std::atomic<std::uint32_t> word{1};
    for (std::chrono::nanoseconds limit : {std::chrono::nanoseconds{0}, std::chrono::nanoseconds{1'000'000}}) {
        sys::futex_wait(word, 1, &limit);
    }
    EXPECT_EQ(word.load(), 1U);
}

TEST(Futex, WakesAllWhoSleepOnTheWord) {
    constexpr unsigned kSleepers = 8;
    constexpr std::uint32_t kRounds = 200;
    std::atomic<std::uint32_t> word{0};
    std::atomic<std::uint32_t> awake{0};
    std::thread waker{[&] {
        for (std::uint32_t round = 1; round <= kRounds; ++round) {
            while (awake.load() < kSleepers * (round - 1)) std::this_thread::yield();
            word.store(round);
            sys::futex_wake(word);
        }
    }};
    run_threads(kSleepers, [&](unsigned) {
        for (std::uint32_t round = 1; round <= kRounds; ++round) {
            while (word.load() == round - 1) sys::futex_wait(word, round - 1);
            awake.fetch_add(1);
        }
    });
    waker.join();
    EXPECT_EQ(awake.load(), kSleepers * kRounds);
}

TEST(SignalBlock, BlocksEverythingInScopeAndNestsAndPutsBack) {
    constexpr std::uint64_t kUnblockable = std::uint64_t{1} << (SIGKILL - 1) | std::uint64_t{1} << (SIGSTOP - 1);
    const std::uint64_t before = blocked_signals();
    {
        const sys::SignalBlock outer;
        {
            const sys::SignalBlock inner;
            EXPECT_EQ(blocked_signals(), ~kUnblockable);
        }
        EXPECT_EQ(blocked_signals(), ~kUnblockable);
    }
    EXPECT_EQ(blocked_signals(), before);
}

}  // namespace
}  // namespace faultline::test
