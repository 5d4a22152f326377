// Signals and faults on the same threads: a handler of the program accesses managed memory while its thread faults or
// makes a control call; threads start and end; errno is kept. The signals of traps 3 and 20 have their own files.

#include "traps/bus_errors.hpp"
#include "traps/trap_support.hpp"

#include <atomic>
#include <cerrno>

namespace faultline::test {
namespace {

using namespace std::chrono_literals;

// The region that the handlers read, filled by fill_with_units().
std::atomic<const Region*> handlers_region{nullptr};
std::atomic<std::uint64_t> handler_looks{0};
std::atomic<std::uint64_t> handler_mismatches{0};

void watch(const Region& region) {
    handlers_region.store(&region);
    handler_looks.store(0);
    handler_mismatches.store(0);
}

void read_managed_memory(int, siginfo_t*, void*) {
    const int saved_errno = errno;
    const Region* const region = handlers_region.load();
    Random random{handler_looks.fetch_add(1)};
    const std::uint64_t unit = random.below(units_of(*region));
    const std::byte* const at = region->data() + unit * kBasePageBytes + 8 * random.below(512);
    if (read_word(at) != word_of_unit(unit)) handler_mismatches.fetch_add(1);
    errno = saved_errno;
}

/// Makes a random control call on pages that no thread reads. Only this thread writes to the page `own`.
void call_something(Pager& pager, Region& scratch, std::byte* own, Random& random) {
    std::byte* const any = scratch.data() + random.below(pages_of(scratch)) * scratch.page_size();
    switch (random.below(8)) {
        case 0: {
            const Pin pin = scratch.pin(own, 1, PinFor::reading);
            break;
        }
        case 1:
            scratch.advise(any, 1, Advice::willneed);
            break;
        case 2:
            scratch.advise(any, 1, Advice::dontneed);
            break;
        case 3:
            write_word(own, 1);
            scratch.discard(own, scratch.page_size());
            break;
        case 4:
            pager.set_resident_limit((16 + random.below(16)) * scratch.page_size());
            break;
        case 5:
            static_cast<void>(pager.stats());
            break;
        case 6:
            scratch.protect(own, scratch.page_size(), Access::read);
            scratch.protect(own, scratch.page_size(), Access::read_write);
            break;
        default: {
            Region passing = pager.reserve(4 * scratch.page_size(), {scratch.page_size()});
            write_word(passing.data(), 1);
            break;
        }
    }
}

class Signals : public TrapMatrix {
protected:
    static constexpr unsigned kThreads = 3;
};

TEST_P(Signals, HandlerMayReadManagedMemoryWhileItsThreadFaultsAndCalls) {
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(24));
    Region region = pager.reserve(48 * GetParam().page_size, options());
    fill_with_units(region);
    Region scratch = pager.reserve(kThreads * GetParam().page_size, options());
    watch(region);
    const ScopedSignal reading{SIGRTMIN, &read_managed_memory, SA_RESTART};
    std::atomic<std::size_t> wrong{0};
    run_threads(kThreads, [&](unsigned index) {
        const ThreadTimer timer{SIGRTMIN, 1ms};
        Random random{seed() + index};
        for (int i = 0; i < 1500; ++i) {
            wrong += wrong_words(region, random.below(units_of(region)));
            call_something(pager, scratch, scratch.data() + index * scratch.page_size(), random);
            region.advise(region.data() + random.below(pages_of(region)) * region.page_size(), 1, Advice::dontneed);
        }
    });
    EXPECT_EQ(wrong.load(), 0U);
    EXPECT_EQ(handler_mismatches.load(), 0U);
    EXPECT_GT(handler_looks.load(), 0U);
}

/// The handler reads the very pages that its thread's control call is working on.
TEST_P(Signals, HandlerMayReadThePagesAControlCallWorksOn) {
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(24));
    Region region = pager.reserve(16 * GetParam().page_size, options());
    fill_with_units(region);
    watch(region);
    const ScopedSignal reading{SIGRTMIN, &read_managed_memory, SA_RESTART};
    run_threads(kThreads, [&](unsigned) {
        const ThreadTimer timer{SIGRTMIN, 1ms};
        for (int i = 0; i < 1500; ++i) {
            region.advise(region.data(), region.size(), Advice::dontneed);
            region.advise(region.data(), region.size(), Advice::willneed);
            const Pin pin = region.pin(region.data(), region.page_size(), PinFor::reading);
            region.protect(region.data(), region.size(), Access::read);
            region.protect(region.data(), region.size(), Access::read_write);
        }
    });
    EXPECT_EQ(handler_mismatches.load(), 0U);
    EXPECT_GT(handler_looks.load(), 0U);
    EXPECT_EQ(wrong_words(region), 0U);
}

/// Reads a random unit while its protection changes: either the read raises SIGSEGV, or the value is right.
void touch_whatever_happens(int, siginfo_t*, void*) {
    const Region* const region = handlers_region.load();
    Random random{handler_looks.fetch_add(1)};
    const std::uint64_t unit = random.below(units_of(*region));
    const std::byte* const at = region->data() + unit * kBasePageBytes;
    std::uint64_t value = 0;
    if (!read_is_caught(at, &value) && value != word_of_unit(unit)) handler_mismatches.fetch_add(1);
}

TEST_P(Signals, HandlerMayTouchMemoryWhoseProtectionItsThreadIsChanging) {
    const ScopedSignal violation{SIGSEGV, &CaughtSignal::jump_out};  // before the pager sets its own action
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(72));
    Region region = pager.reserve(64 * GetParam().page_size, options());
    fill_with_units(region);
    watch(region);
    const ScopedSignal touching{SIGRTMIN, &touch_whatever_happens, SA_RESTART};
    run_threads(1, [&](unsigned) {
        const ThreadTimer timer{SIGRTMIN, 50us};
        for (int i = 0; i < 1500; ++i) {
            region.protect(region.data(), region.size(), Access::none);
            region.protect(region.data(), region.size(), Access::read_write);
        }
    });
    EXPECT_EQ(handler_mismatches.load(), 0U);
    EXPECT_GT(handler_looks.load(), 0U);
    EXPECT_EQ(wrong_words(region), 0U);
}

TEST_P(Signals, ThreadsMayStartAndEndDuringFaults) {
    constexpr unsigned kStarters = 3;
    constexpr int kGenerations = 400;
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(12));
    Region region = pager.reserve(40 * GetParam().page_size, options());
    fill_with_units(region);
    std::atomic<std::size_t> wrong{0};
    run_threads(kStarters, [&](unsigned starter) {
        Random seeds{seed() + starter};
        for (int generation = 0; generation < kGenerations; ++generation) {
            run_threads(2, [&, thread_seed = seeds.next()](unsigned index) {
                Random random{thread_seed + index};
                for (int i = 0; i < 3; ++i) wrong += wrong_words(region, random.below(units_of(region)));
            });
        }
    });
    EXPECT_EQ(wrong.load(), 0U);
}

TEST_P(Signals, FaultsPreserveErrno) {
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(8));
    Region region = pager.reserve(64 * GetParam().page_size, options());
    Random random{seed()};
    int changed = 0;
    for (int i = 0; i < 3000; ++i) {
        std::byte* const at = region.data() + random.below(pages_of(region)) * region.page_size();
        const bool write = random.below(2) == 0;
        errno = i;
        if (write) {
            write_word(at, ~word_of_unit(0));
        } else {
            static_cast<void>(read_word(at));
        }
        if (errno != i) ++changed;
    }
    EXPECT_EQ(changed, 0);
    EXPECT_GT(region.stats().hard_faults, 0U);
}

INSTANTIATE_TEST_SUITE_P(Matrix, Signals, testing::ValuesIn(deliveries_and_evictions()), VariantName{});

}  // namespace
}  // namespace faultline::test
