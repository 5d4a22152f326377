// PageTable under many threads. A lost wake-up makes a test hang, and the test runner's time limit fails it.
#include "table/page_table.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <barrier>
#include <cstdint>
#include <random>
#include <thread>
#include <vector>

namespace faultline::test {
namespace {

using core::PageState;
using core::PageWord;
using table::PageTable;

template <typename Body>
std::vector<std::thread> start_threads(unsigned count, Body body) {
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < count; ++i) threads.emplace_back(body, i);
    return threads;
}

void join(std::vector<std::thread>& threads) {
    for (std::thread& thread : threads) thread.join();
}

/// Claims an empty page for the calling thread. Sleeps while other threads own it.
void claim(const PageTable& table, std::uint64_t page) {
    PageWord seen = table.load(page);
    for (;;) {
        if (seen.busy()) {
            table.wait(page, seen);
            seen = table.load(page);
        } else if (table.try_change(page, seen, seen.claimed_for_fill())) {
            return;
        }
    }
}

void let_go(const PageTable& table, std::uint64_t page) {
    table.publish(page, [](PageWord word) { return word.discarded(); });
}

TEST(PageTableThreads, APageHasOneOwnerAtATimeAndEveryWaiterIsWoken) {
    constexpr unsigned kThreads = 16;
    constexpr int kRounds = 2000;
    const PageTable table{1};
    std::uint64_t owned = 0;  // guarded by owning the page
    auto threads = start_threads(kThreads, [&](unsigned) {
        for (int round = 0; round < kRounds; ++round) {
            claim(table, 0);
            ++owned;
            std::this_thread::yield();  // to the threads that then have to sleep
            let_go(table, 0);
        }
    });
    join(threads);
    EXPECT_EQ(owned, std::uint64_t{kThreads} * kRounds);
    EXPECT_EQ(table.load(0), PageWord{});
}

// The owner publishes as soon as the waiters mark is set: with luck between a waiter's mark and its sleep.
TEST(PageTableThreads, PublishingWakesEveryWaiterOfEveryRound) {
    constexpr unsigned kWaiters = 8;
    constexpr std::uint32_t kRounds = 1000;
    const PageTable table{1};
    std::barrier round_begins{kWaiters + 1};
    std::barrier round_ends{kWaiters + 1};
    auto waiters = start_threads(kWaiters, [&](unsigned) {
        for (std::uint32_t round = 0; round < kRounds; ++round) {
            round_begins.arrive_and_wait();
            for (PageWord seen = table.load(0); seen.busy(); seen = table.load(0)) table.wait(0, seen);
            EXPECT_EQ(table.load(0).payload(), round);
            round_ends.arrive_and_wait();
        }
    });
    for (std::uint32_t round = 0; round < kRounds; ++round) {
        claim(table, 0);
        round_begins.arrive_and_wait();
        while (!table.load(0).waiters()) std::this_thread::yield();
        EXPECT_TRUE(table.publish(0, [round](PageWord word) { return word.filled(round, false); }).waiters());
        round_ends.arrive_and_wait();
        PageWord seen = table.load(0);
        ASSERT_TRUE(table.try_change(0, seen, seen.claimed_for_eviction()));
        let_go(table, 0);
    }
    join(waiters);
}

TEST(PageTableThreads, PublishingOnePageDoesNotDisturbItsNeighbours) {
    constexpr unsigned kThreads = 8;
    constexpr int kRounds = 5000;
    const PageTable table{kThreads};
    std::atomic<int> disturbed{0};
    auto threads = start_threads(kThreads, [&](unsigned page) {
        for (int round = 0; round < kRounds; ++round) {
            claim(table, page);
            if (table.publish(page, [page](PageWord word) { return word.filled(page + 1, true); }).waiters())
                ++disturbed;
            PageWord seen = table.load(page);
            if (seen.payload() != page + 1 || !table.try_change(page, seen, seen.claimed_for_eviction())) ++disturbed;
            let_go(table, page);
        }
    });
    join(threads);
    EXPECT_EQ(disturbed, 0);
}

/// Claims a resident page and publishes it again in `frame`, as a first write does.
void publish_again(const PageTable& table, std::uint64_t page, std::uint32_t frame) {
    PageWord seen = table.load(page);
    while (!table.try_change(page, seen, seen.claimed_for_change())) {
    }
    table.publish(page, [frame](PageWord word) { return word.filled(frame, false); });
}

TEST(PageTableThreads, NoPinIsLostWhileTheOwnerPublishes) {
    constexpr unsigned kPinners = 6;
    constexpr std::uint64_t kPinsEach = 500;
    const PageTable table{1};
    claim(table, 0);
    table.publish(0, [](PageWord word) { return word.filled(0, false); });
    std::atomic<unsigned> pinning{kPinners};
    auto pinners = start_threads(kPinners, [&](unsigned) {
        for (std::uint64_t pin = 0; pin < kPinsEach; ++pin) {
            table.publish(0, [](PageWord word) { return word.with_pin_added(); });
            table.publish(0, [](PageWord word) { return word.with_pin_removed(); });
            table.publish(0, [](PageWord word) { return word.with_pin_added(); });
        }
        --pinning;
    });
    std::uint32_t frame = 0;
    while (pinning.load() > 0) publish_again(table, 0, ++frame);
    join(pinners);
    const PageWord last = table.load(0);
    EXPECT_TRUE(last.is(PageState::resident));
    EXPECT_EQ(last.payload(), frame);
    EXPECT_EQ(last.pins(), kPinners * kPinsEach);
}

// Like Region::protect on a page that other threads claim, wait for and publish all the time.
TEST(PageTableThreads, ChangesOfProtectionLoseNoWaiter) {
    constexpr unsigned kThreads = 8;
    constexpr int kRounds = 1000;
    const PageTable table{1};
    std::uint64_t owned = 0;  // guarded by owning the page
    std::atomic<unsigned> running{kThreads};
    auto threads = start_threads(kThreads, [&](unsigned) {
        for (int round = 0; round < kRounds; ++round) {
            claim(table, 0);
            ++owned;
            std::this_thread::yield();  // to the threads that then have to sleep
            let_go(table, 0);
        }
        --running;
    });
    while (running.load() > 0) {
        table.publish(0, [](PageWord word) { return word.with_protection(Access::read); });
        table.publish(0, [](PageWord word) { return word.with_protection(Access::read_write); });
    }
    join(threads);
    EXPECT_EQ(owned, std::uint64_t{kThreads} * kRounds);
    EXPECT_EQ(table.load(0), PageWord{});
}

// A scan that begins after a thread has seen a page touched must visit that page.
TEST(PageTableThreads, ScanNeverMissesAPageTouchedBeforeIt) {
    constexpr std::uint64_t kPages = std::uint64_t{1} << 24;
    constexpr std::size_t kTouches = 4000;
    constexpr std::uint64_t kSeed = 7;
    RecordProperty("seed", std::to_string(kSeed));
    std::mt19937_64 random{kSeed};
    std::vector<std::uint64_t> order(kTouches);
    for (std::uint64_t& page : order) page = random() % kPages;

    const PageTable table{kPages};
    std::atomic<std::size_t> touched{0};
    std::thread toucher{[&] {
        for (std::uint64_t page : order) {
            table.publish(page, [](PageWord word) { return word.with_slot(true); });
            touched.fetch_add(1, std::memory_order_release);
        }
    }};
    for (bool last = false; !last;) {
        const std::size_t expected = touched.load(std::memory_order_acquire);
        last = expected == kTouches;
        std::vector<bool> found(kPages, false);
        table.for_each_touched({0, kPages}, [&](std::uint64_t page) { found[page] = table.load(page).has_slot(); });
        for (std::size_t i = 0; i < expected; ++i) EXPECT_TRUE(found[order[i]]) << "page " << order[i];
    }
    toucher.join();
}

}  // namespace
}  // namespace faultline::test
