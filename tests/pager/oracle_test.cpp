// No increment is lost: threads count in words of pages that are evicted and read back all the time, and in arrays
// outside managed memory. Both must agree.

#include "pager_fixture.hpp"

#include <algorithm>
#include <atomic>
#include <barrier>
#include <cstdint>
#include <iterator>
#include <random>
#include <thread>
#include <vector>

namespace faultline::test {
namespace {

std::vector<Variant> all_page_sizes() {
    std::vector<Variant> all;
    for (std::size_t page_size : {std::size_t{4} << 10, std::size_t{64} << 10, std::size_t{2} << 20}) {
        const auto some = deliveries_and_evictions(Replacement::second_chance, page_size);
        all.insert(all.end(), some.begin(), some.end());
    }
    const auto fifo = deliveries_and_evictions(Replacement::fifo);
    all.insert(all.end(), fifo.begin(), fifo.end());
    return all;
}

/// A region of counters: every page has two words for each thread, one near its begin and one near its end.
class Counters {
public:
    Counters(Region region, unsigned threads)
        : region_{std::move(region)}, threads_{threads}, expected_(threads * pages()) {}

    [[nodiscard]] std::size_t pages() const { return region_.size() / region_.page_size(); }

    void increment(unsigned thread, std::size_t page) {
        add_one(word(thread, page));
        add_one(last_word(thread, page));
        ++expected_[thread * pages() + page];
    }

    void verify() const {
        for (unsigned thread = 0; thread < threads_; ++thread) {
            for (std::size_t page = 0; page < pages(); ++page) {
                const std::uint64_t expected = expected_[thread * pages() + page];
                ASSERT_EQ(load_word(word(thread, page)), expected) << "thread " << thread << ", page " << page;
                ASSERT_EQ(load_word(last_word(thread, page)), expected) << "thread " << thread << ", page " << page;
            }
        }
    }

private:
    static void add_one(std::byte* at) {
        auto& counter = *reinterpret_cast<std::uint64_t*>(at);
        std::atomic_ref{counter}.fetch_add(1, std::memory_order_relaxed);
    }
    [[nodiscard]] std::byte* word(unsigned thread, std::size_t page) const {
        return region_.data() + page * region_.page_size() + thread * sizeof(std::uint64_t);
    }
    [[nodiscard]] std::byte* last_word(unsigned thread, std::size_t page) const {
        return region_.data() + (page + 1) * region_.page_size() - (thread + 1) * sizeof(std::uint64_t);
    }

    Region region_;
    unsigned threads_;
    std::vector<std::uint64_t> expected_;  // [thread][page]: each thread writes its own row
};

class Oracle : public VariantTest {
protected:
    static constexpr unsigned kThreads = 4;

    [[nodiscard]] int rounds() const {
        if (GetParam().page_size == kLargestPageBytes) return 40;
        return GetParam().page_size == kBasePageBytes ? 1500 : 600;
    }
};

TEST_P(Oracle, NoIncrementIsLostWhenThreadsSharePagesThatAreEvicted) {
    const Watchdog watchdog;
    const std::size_t page_size = GetParam().page_size;
    Pager pager{config_for(GetParam(), 12 * page_size)};
    Counters counters{pager.reserve(40 * page_size, {page_size}), kThreads};
    run_threads(kThreads, [&](unsigned thread) {
        std::mt19937_64 random{thread};
        for (int i = 0; i < rounds(); ++i) {
            // Some pages are popular, so that threads meet on them, and some are taken back soon after their eviction.
            counters.increment(thread, random() % (i % 2 == 0 ? counters.pages() : 14));
        }
    });
    counters.verify();
    EXPECT_GT(pager.stats().evictions, 0U);
}

TEST_P(Oracle, NoIncrementIsLostWhenPagesChangeOwners) {
    const Watchdog watchdog;
    const std::size_t page_size = GetParam().page_size;
    Pager pager{config_for(GetParam(), 10 * page_size)};
    const std::size_t pages = 32;
    Region region = pager.reserve(pages * page_size, {page_size});
    std::vector<std::uint64_t> expected(pages);  // by page; changed by the page's owner of the round
    std::barrier turn{static_cast<std::ptrdiff_t>(kThreads)};
    const int turns = GetParam().page_size == kLargestPageBytes ? 3 : 16;
    run_threads(kThreads, [&](unsigned thread) {
        for (int round = 0; round < turns; ++round) {
            for (std::size_t page = (thread + static_cast<unsigned>(round)) % kThreads; page < pages;
                 page += kThreads) {
                std::byte* const at = region.data() + page * page_size + page_size / 2;
                store_word(at, load_word(at) * 31 + page + 1);
                expected[page] = expected[page] * 31 + page + 1;
            }
            turn.arrive_and_wait();
        }
    });
    for (std::size_t page = 0; page < pages; ++page) {
        EXPECT_EQ(load_word(region.data() + page * page_size + page_size / 2), expected[page]) << "page " << page;
    }
    EXPECT_GT(pager.stats().evictions, 0U);
}

/// Enough frames that the background evictor and the staging zone are used.
TEST_P(Oracle, NoIncrementIsLostWithTheBackgroundEvictor) {
    if (GetParam().page_size != kBasePageBytes) GTEST_SKIP() << "needs many frames";
    const Watchdog watchdog;
    Pager pager{config_for(GetParam(), 400 * kBasePageBytes)};
    Counters counters{pager.reserve(1200 * kBasePageBytes), kThreads};
    run_threads(kThreads, [&](unsigned thread) {
        std::mt19937_64 random{thread};
        for (int i = 0; i < 4000; ++i) counters.increment(thread, random() % (i % 2 == 0 ? counters.pages() : 380));
    });
    counters.verify();
    EXPECT_GT(pager.stats().evictions, 0U);
}

TEST_P(Oracle, BudgetMayChangeWhileThreadsRunAndHoldsWhenTheCallReturns) {
    const Watchdog watchdog;
    const std::size_t page_size = GetParam().page_size;
    const std::size_t pages = 64;
    Pager pager{config_for(GetParam(), pages * page_size)};
    Counters counters{pager.reserve(pages * page_size, {page_size}), kThreads};
    std::atomic<unsigned> running{kThreads};
    std::thread shrinker{[&] {
        const std::size_t limits[] = {48, 8, 64, 24, 9};
        for (std::size_t i = 0; i == 0 || running.load() > 0; ++i) {
            const std::size_t bytes = limits[i % std::size(limits)] * page_size;
            pager.set_resident_limit(bytes);
            EXPECT_LE(pager.stats().frames_used, bytes);
        }
    }};
    run_threads(kThreads, [&](unsigned thread) {
        std::mt19937_64 random{thread + 100};
        for (int i = 0; i < rounds(); ++i) counters.increment(thread, random() % counters.pages());
        running.fetch_sub(1);
    });
    shrinker.join();
    counters.verify();
}

INSTANTIATE_TEST_SUITE_P(matrix, Oracle, ::testing::ValuesIn(all_page_sizes()), VariantName{});

}  // namespace
}  // namespace faultline::test
