// ProgressGuard: one thread at a time holds the grip, it spares at most four pages, and every thread gets it.
#include "pager/frame/progress_guard.hpp"

#include "pager_parts/threads.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>

namespace faultline::test {
namespace {

using core::PageRef;
using pager::ProgressGuard;

// Tokens such as sys::thread_token returns: addresses of thread control blocks.
constexpr std::uint64_t token(std::uint64_t thread) { return 0x7f00'0000'1740 + thread * 0x80'1000; }
constexpr std::uint64_t kAlice = token(0);
constexpr std::uint64_t kBob = token(1);

constexpr PageRef page(std::uint32_t number) { return {1, number}; }

void fault_twice(ProgressGuard& guard, std::uint64_t thread, std::uint32_t number) {
    guard.faulted(thread, page(number));
    guard.faulted(thread, page(number));
}

int spared(const ProgressGuard& guard, std::uint32_t pages) {
    int count = 0;
    for (std::uint32_t number = 0; number < pages; ++number) count += guard.spares(page(number)) ? 1 : 0;
    return count;
}

TEST(ProgressGuard, SparesNothingWhileNobodyFaultsTwice) {
    ProgressGuard guard;
    EXPECT_FALSE(guard.spares(page(0)));
    EXPECT_FALSE(guard.spares({}));
    for (std::uint32_t number = 0; number < 100; ++number) guard.faulted(kAlice, page(number));
    EXPECT_EQ(spared(guard, 100), 0);
}

TEST(ProgressGuard, SparesThePageAThreadLostAndFaultsOnAgain) {
    ProgressGuard guard;
    fault_twice(guard, kAlice, 7);
    EXPECT_TRUE(guard.spares(page(7)));
    EXPECT_EQ(spared(guard, 100), 1);
}

TEST(ProgressGuard, SparesAllPagesThatOneInstructionNeeds) {
    ProgressGuard guard;
    for (int round = 0; round < 2; ++round) {
        for (std::uint32_t number : {10U, 20U, 30U, 40U}) guard.faulted(kAlice, page(number));
    }
    for (std::uint32_t number : {10U, 20U, 30U, 40U}) EXPECT_TRUE(guard.spares(page(number))) << number;
    EXPECT_EQ(spared(guard, 100), 4);
}

TEST(ProgressGuard, FollowsTheHolderToItsNextPages) {
    ProgressGuard guard;
    fault_twice(guard, kAlice, 1);
    for (std::uint32_t number = 50; number < 54; ++number) guard.faulted(kAlice, page(number));
    for (std::uint32_t number = 50; number < 54; ++number) EXPECT_TRUE(guard.spares(page(number)));
    EXPECT_FALSE(guard.spares(page(1)));
}

TEST(ProgressGuard, SparesFourPagesAtMostWhoeverFaults) {
    ProgressGuard guard;
    for (std::uint32_t step = 0; step < 2000; ++step) {
        guard.faulted(step % 3 == 0 ? kAlice : kBob, page(step * 7 % 11));
        ASSERT_LE(spared(guard, 11), 4);
    }
}

TEST(ProgressGuard, ServesOneThreadAtATime) {
    ProgressGuard guard;
    fault_twice(guard, kAlice, 1);
    fault_twice(guard, kBob, 2);
    EXPECT_TRUE(guard.spares(page(1)));
    EXPECT_FALSE(guard.spares(page(2)));
}

TEST(ProgressGuard, HandsTheGripOnWhenTheTurnIsOver) {
    ProgressGuard guard;
    fault_twice(guard, kAlice, 1);
    for (std::uint32_t number = 100; number < 120; ++number) guard.faulted(kAlice, page(number));
    fault_twice(guard, kBob, 2);
    EXPECT_TRUE(guard.spares(page(2)));
    EXPECT_EQ(spared(guard, 200), 1) << "nothing of the one before";
}

TEST(ProgressGuard, TakesTheGripFromAThreadThatEnded) {
    ProgressGuard guard;
    fault_twice(guard, kAlice, 1);
    int tries = 0;
    for (; tries < 1000 && !guard.spares(page(2)); ++tries) fault_twice(guard, kBob, 2);
    EXPECT_TRUE(guard.spares(page(2)));
    EXPECT_GT(tries, 1) << "not at the first try";
}

// Two threads evict each other's pages, fault by fault: each must be spared its own sooner or later.
TEST(ProgressGuard, ServesEachOfTwoThreadsThatAlternate) {
    ProgressGuard guard;
    int turns_of_alice = 0;
    int turns_of_bob = 0;
    for (std::uint32_t step = 0; step < 1000; ++step) {
        guard.faulted(kAlice, page(step % 2));
        turns_of_alice += guard.spares(page(0)) && guard.spares(page(1)) ? 1 : 0;
        guard.faulted(kBob, page(10 + step % 2));
        turns_of_bob += guard.spares(page(10)) && guard.spares(page(11)) ? 1 : 0;
    }
    EXPECT_GT(turns_of_alice, 100);
    EXPECT_GT(turns_of_bob, 100);
}

// The same with many more threads than frames: every thread must get its turn.
TEST(ProgressGuard, ServesEachOfManyThreadsThatTakeTurns) {
    constexpr std::uint32_t kThreads = 16;
    ProgressGuard guard;
    std::array<int, kThreads> turns{};
    for (std::uint32_t step = 0; step < 5000; ++step) {
        for (std::uint32_t thread = 0; thread < kThreads; ++thread) {
            const std::uint32_t own = 10 * thread;
            guard.faulted(token(thread), page(own + step % 2));
            turns[thread] += guard.spares(page(own)) && guard.spares(page(own + 1)) ? 1 : 0;
        }
    }
    for (std::uint32_t thread = 0; thread < kThreads; ++thread) EXPECT_GT(turns[thread], 0) << "thread " << thread;
}

TEST(ProgressGuard, SurvivesManyThreads) {
    ProgressGuard guard;
    run_threads(8, [&](unsigned thread) {
        for (std::uint32_t step = 0; step < 5000; ++step) {
            guard.faulted(token(thread), page(thread * 100 + step % 3));
            static_cast<void>(guard.spares(page(step % 800)));
        }
    });
    EXPECT_LE(spared(guard, 800), 4);
    fault_twice(guard, kBob, 999);
    for (int tries = 0; tries < 1000 && !guard.spares(page(999)); ++tries) fault_twice(guard, kBob, 999);
    EXPECT_TRUE(guard.spares(page(999))) << "still hands the grip on";
}

}  // namespace
}  // namespace faultline::test
