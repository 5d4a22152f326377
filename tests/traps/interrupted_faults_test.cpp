// Traps 3, 4 and 5: one fault may be reported or answered more than once. A signal during the wait for a page makes the
// kernel report the fault again; threads race to fill the same page; large pages are transferred in parts.

#include "traps/trap_support.hpp"

#include <liburing.h>
#include <pthread.h>

#include <atomic>
#include <barrier>
#include <cerrno>
#include <tuple>

namespace faultline::test {
namespace {

using namespace std::chrono_literals;

constexpr unsigned kFaultingThreads = 4;
constexpr unsigned kVisits = 800;

std::atomic<std::uint64_t> signals_counted{0};

void count_signal(int, siginfo_t*, void*) { signals_counted.fetch_add(1, std::memory_order_relaxed); }

/// Checks random units and writes the value that they hold already: pages become dirty, and threads need no agreement
/// about which thread writes where. Returns the number of wrong words.
std::size_t visit_pages(Region& region, unsigned visits, Random& random) {
    std::size_t wrong = 0;
    for (unsigned visit = 0; visit < visits; ++visit) {
        const std::uint64_t unit = random.below(units_of(region));
        wrong += wrong_words(region, unit);
        write_word(region.data() + unit * kBasePageBytes, word_of_unit(unit));
    }
    return wrong;
}

// ---- 3 a signal during the wait

class Trap03 : public testing::TestWithParam<std::tuple<Variant, int>> {
protected:
    [[nodiscard]] const Variant& variant() const { return std::get<0>(GetParam()); }
    [[nodiscard]] int flags() const { return std::get<1>(GetParam()); }
    [[nodiscard]] std::uint64_t seed() const noexcept { return guard_.seed(); }

private:
    TestGuard guard_;
};

TEST_P(Trap03, TimersThatInterruptFaultsLoseNoByte) {
    FAULTLINE_PAGER_OR_SKIP(pager, config_for(variant(), 12 * variant().page_size));
    Region region = pager.reserve(40 * variant().page_size, {variant().page_size});
    fill_with_units(region);
    const ScopedSignal counting{SIGRTMIN, &count_signal, flags()};
    signals_counted.store(0);
    std::atomic<std::size_t> wrong{0};
    run_threads(kFaultingThreads, [&](unsigned index) {
        const ThreadTimer timer{SIGRTMIN, 50us};
        Random random{seed() + index};
        wrong += visit_pages(region, kVisits, random);
    });
    EXPECT_EQ(wrong.load(), 0U);
    EXPECT_EQ(wrong_words(region), 0U);
    EXPECT_GT(signals_counted.load(), 0U);
}

TEST_P(Trap03, SignalsFromAnotherThreadDuringFaultsLoseNoByte) {
    FAULTLINE_PAGER_OR_SKIP(pager, config_for(variant(), 12 * variant().page_size));
    Region region = pager.reserve(40 * variant().page_size, {variant().page_size});
    fill_with_units(region);
    const ScopedSignal counting{SIGUSR1, &count_signal, flags()};
    signals_counted.store(0);
    std::array<std::atomic<pthread_t>, kFaultingThreads> targets{};
    std::atomic<std::size_t> wrong{0};
    std::atomic<unsigned> visiting{kFaultingThreads};
    std::barrier everybody_is_here{kFaultingThreads + 1};
    std::barrier nobody_signals{kFaultingThreads + 1};
    run_threads(kFaultingThreads + 1, [&](unsigned index) {
        if (index < kFaultingThreads) {
            targets[index].store(::pthread_self());
            everybody_is_here.arrive_and_wait();
            Random random{seed() + index};
            wrong += visit_pages(region, kVisits, random);
            --visiting;
            nobody_signals.arrive_and_wait();
            return;
        }
        everybody_is_here.arrive_and_wait();
        do {
            for (const auto& target : targets) ::pthread_kill(target.load(), SIGUSR1);
        } while (visiting.load() > 0);
        nobody_signals.arrive_and_wait();
    });
    EXPECT_EQ(wrong.load(), 0U);
    EXPECT_EQ(wrong_words(region), 0U);
    EXPECT_GT(signals_counted.load(), 0U);
}

struct InterruptedName {
    template <typename Info>
    std::string operator()(const Info& info) const {
        return label(std::get<0>(info.param)) + (std::get<1>(info.param) == SA_RESTART ? "_restart" : "_interrupt");
    }
};

/// After a ring is closed, the kernel does the rest of its work on the thread that used it, and wakes that thread from
/// any sleep: like a signal, but no mask blocks it.
TEST_P(Trap03, RingsClosedDuringFaultsAndTeardownLoseNoByte) {
    for (int life = 0; life < 200; ++life) {
        FAULTLINE_PAGER_OR_SKIP(pager, config_for(variant(), 8 * variant().page_size));
        Region region = pager.reserve(16 * variant().page_size, {variant().page_size});
        fill_with_units(region);
        io_uring ring{};
        const int refused = ::io_uring_queue_init(2, &ring, 0);
        if (refused == -EPERM || refused == -ENOSYS) GTEST_SKIP() << "this machine does not permit io_uring";
        ASSERT_EQ(refused, 0);
        io_uring_sqe* const entry = ::io_uring_get_sqe(&ring);
        ::io_uring_prep_nop(entry);
        entry->flags |= IOSQE_ASYNC;
        ASSERT_EQ(::io_uring_submit(&ring), 1);
        ::io_uring_queue_exit(&ring);
        if (life % 4 != 0) continue;
        ASSERT_EQ(wrong_words(region), 0U);
    }
}

INSTANTIATE_TEST_SUITE_P(Matrix, Trap03,
                         testing::Combine(testing::ValuesIn(deliveries_and_evictions()),
                                          testing::Values(0, SA_RESTART)),
                         InterruptedName{});

// ---- 4 and 5 EEXIST, and partial transfers

class Trap04And05 : public TrapMatrix {
protected:
    [[nodiscard]] std::size_t pages() const { return GetParam().page_size >= kLargestPageBytes ? 12 : 40; }
    [[nodiscard]] int rounds() const { return GetParam().page_size >= kLargestPageBytes ? 60 : 600; }
    [[nodiscard]] std::uint64_t units_per_page() const { return GetParam().page_size / kBasePageBytes; }
};

TEST_P(Trap04And05, ThreadsFaultingOnTheSamePageAtOnceAllGetIt) {
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(9));
    Region region = pager.reserve(pages() * GetParam().page_size, options());
    fill_with_units(region);
    std::atomic<std::size_t> wrong{0};
    std::barrier round_begins{kFaultingThreads};
    run_threads(kFaultingThreads, [&](unsigned index) {
        Random same_for_all{seed()};
        Random own{seed() + index + 1};
        for (int round = 0; round < rounds(); ++round) {
            const std::uint64_t page = same_for_all.below(pages());
            round_begins.arrive_and_wait();
            const std::uint64_t unit = page * units_per_page() + own.below(units_per_page());
            // The last words of a page are filled last.
            std::byte* const last = region.data() + (unit + 1) * kBasePageBytes - 8 * (index + 1);
            wrong += read_word(last) != word_of_unit(unit);
            if (own.below(2) == 0) write_word(last, word_of_unit(unit));
        }
    });
    EXPECT_EQ(wrong.load(), 0U);
    EXPECT_EQ(wrong_words(region), 0U);
}

TEST_P(Trap04And05, ThreadsOnNeighbouringPagesGetTheirOwn) {
    Config config = config_with(9 + kFaultingThreads);
    config.read_ahead = true;  // fills neighbours while other threads fault on them
    FAULTLINE_PAGER_OR_SKIP(pager, config);
    Region region = pager.reserve(pages() * GetParam().page_size, options());
    fill_with_units(region);
    std::atomic<std::size_t> wrong{0};
    run_threads(kFaultingThreads, [&](unsigned index) {
        Random random{seed() + index};
        for (int round = 0; round < rounds() / 20; ++round) {
            for (std::uint64_t page = index; page < pages(); ++page) {  // threads start one page apart
                const std::uint64_t unit = page * units_per_page() + random.below(units_per_page());
                wrong += wrong_words(region, unit);
                write_word(region.data() + unit * kBasePageBytes, word_of_unit(unit));
            }
        }
    });
    EXPECT_EQ(wrong.load(), 0U);
    EXPECT_EQ(wrong_words(region), 0U);
}

INSTANTIATE_TEST_SUITE_P(Matrix, Trap04And05, testing::ValuesIn(variants_with({4096, 65536, kLargestPageBytes})),
                         VariantName{});

}  // namespace
}  // namespace faultline::test
