// Thousands of threads that start and end, and threads that are cancelled during a fault: no page stays claimed by a
// thread that has ended.

#include "life/life_support.hpp"

#include <pthread.h>

#include <atomic>
#include <vector>

namespace faultline::test {
namespace {

class Threads : public LifeMatrix {};

TEST_P(Threads, TenThousandThreadsReadAndAddWithoutLoss) {
    constexpr unsigned kWave = 8;
    constexpr unsigned kThreads = kSanitized ? 1000 : 10'000;
    FAULTLINE_LIVE_OR_SKIP();
    const ChildEnd end = live([&](Pager& pager, Region& region, Verdict& verdict) {
        Region counted = pager.reserve(kLifePages * GetParam().page_size, options());
        std::vector<std::atomic<std::uint64_t>> expected(pages_of(counted));
        std::atomic<std::size_t> wrong{0};
        for (unsigned wave = 0; wave < kThreads / kWave; ++wave) {
            run_threads(kWave, [&, wave](unsigned index) {
                Random random{seed() + wave * kWave + index};
                if (!unit_is_right(region, random.below(units_of(region)))) ++wrong;
                const std::uint64_t page = random.below(pages_of(counted));
                auto* const word = reinterpret_cast<std::uint64_t*>(counted.data() + page * counted.page_size());
                std::atomic_ref{*word}.fetch_add(1);
                ++expected[page];
            });
        }
        verdict.expect(wrong.load() == 0, "each thread reads what was written before it started");
        for (std::uint64_t page = 0; page < pages_of(counted); ++page) {
            verdict.expect(read_word(counted.data() + page * counted.page_size()) == expected[page].load(),
                           "what threads added is kept after they end");
        }
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
}

// ---- cancellation

constexpr int kCancelledPairs = 60;

/// The data of a thread that will be cancelled. The thread owns nothing and makes no call that is unsafe to cancel
/// asynchronously.
struct Faulting {
    std::byte* data = nullptr;
    std::uint64_t units = 0;
    std::uint64_t parity = 0;  // only this thread writes units of this parity
    std::uint64_t seed = 0;
    int type = PTHREAD_CANCEL_DEFERRED;
    std::atomic<std::uint64_t> rounds{0};
    std::atomic<std::uint64_t> wrong{0};
};

[[gnu::noinline]] void* fault_until_cancelled(void* argument) {
    auto* const work = static_cast<Faulting*>(argument);
    ::pthread_setcanceltype(work->type, nullptr);
    Random random{work->seed};
    for (;;) {
        const std::uint64_t unit = 2 * random.below(work->units / 2) + work->parity;
        std::byte* const at = work->data + unit * kBasePageBytes;
        if (read_word(at) != word_of_unit(unit)) work->wrong.fetch_add(1);
        write_word(at, word_of_unit(unit));
        work->rounds.fetch_add(1);
        if (work->type == PTHREAD_CANCEL_DEFERRED) ::pthread_testcancel();
    }
}

/// Starts pairs of faulting threads and cancels each thread after a random number of rounds.
void cancel_pairs(int type, int pairs, std::uint64_t seed, Region& region, Verdict& verdict) {
    Random random{seed};
    for (int pair = 0; pair < pairs; ++pair) {
        std::array<Faulting, 2> work;
        std::array<pthread_t, 2> threads{};
        for (std::size_t i = 0; i < work.size(); ++i) {
            work[i].data = region.data();
            work[i].units = units_of(region);
            work[i].parity = i;
            work[i].seed = random.next();
            work[i].type = type;
            if (::pthread_create(&threads[i], nullptr, &fault_until_cancelled, &work[i]) != 0) ::_exit(3);
        }
        for (std::size_t i = 0; i < work.size(); ++i) {
            const std::uint64_t rounds = 1 + random.below(40);
            while (work[i].rounds.load() < rounds) std::this_thread::yield();
            ::pthread_cancel(threads[i]);
        }
        for (std::size_t i = 0; i < work.size(); ++i) {
            void* result = nullptr;
            ::pthread_join(threads[i], &result);
            verdict.expect(result == PTHREAD_CANCELED, "the thread was cancelled");
            verdict.expect(work[i].wrong.load() == 0, "the cancelled thread read what was written");
        }
    }
    verdict.expect(wrong_words(region) == 0, "every page is accessible and keeps its bytes");
    evict_all(region);
    verdict.expect(wrong_words(region) == 0, "every page keeps its bytes after an eviction");
}

TEST_P(Threads, DeferredCancellationLeavesNoPageClaimed) {
    FAULTLINE_LIVE_OR_SKIP();
    const ChildEnd end = live([&](Pager&, Region& region, Verdict& verdict) {
        cancel_pairs(PTHREAD_CANCEL_DEFERRED, kCancelledPairs, seed(), region, verdict);
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
}

TEST_P(Threads, AsynchronousCancellationLeavesNoPageClaimed) {
    if (kSanitized) GTEST_SKIP() << "a sanitizer's own calls are not safe to cancel asynchronously";
    FAULTLINE_LIVE_OR_SKIP();
    const ChildEnd end = live([&](Pager&, Region& region, Verdict& verdict) {
        cancel_pairs(PTHREAD_CANCEL_ASYNCHRONOUS, kCancelledPairs, seed(), region, verdict);
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
}

INSTANTIATE_TEST_SUITE_P(Matrix, Threads, testing::ValuesIn(deliveries_and_evictions()), VariantName{});

}  // namespace
}  // namespace faultline::test
