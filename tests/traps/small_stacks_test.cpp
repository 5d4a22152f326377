// Trap 13: the program's alternate stack has room for little more than the kernel's signal frame. Faults of all kinds
// are resolved without a write below that stack, and the program's handlers run on it.

#include "mmu/handler_stacks.hpp"
#include "support/small_stack.hpp"
#include "traps/bus_errors.hpp"
#include "traps/trap_support.hpp"

#include <faultline/address_space.hpp>

#include <algorithm>
#include <atomic>

extern "C" faultline::mmu::HandlerStackPool faultline_handler_stacks;

namespace faultline::test {
namespace {

using mmu::HandlerStacks;

std::vector<Variant> deliveries_by_signal() {
    std::vector<Variant> all = deliveries_and_evictions();
    std::erase_if(all, [](const Variant& variant) { return variant.delivery == Delivery::uffd_threads; });
    return all;
}

class SmallStacks : public TrapMatrix {
protected:
    static constexpr std::size_t kPages = 40;

    /// Without the background evictor: the faulting thread evicts and writes pages back.
    [[nodiscard]] Config tight_config() const {
        Config config = config_with(12);
        config.background_evictor = false;
        return config;
    }
};

void write_and_read(Region& region, std::size_t& wrong) {
    for (int round = 0; round < 6; ++round) {
        for (std::uint64_t unit = 0; unit < units_of(region); ++unit) {
            wrong += wrong_words(region, unit);
            write_word(region.data() + unit * kBasePageBytes, word_of_unit(unit));
        }
        region.advise(region.data(), kBasePageBytes, Advice::dontneed);
    }
}

TEST_P(SmallStacks, FaultsWriteNothingBelowTheStack) {
    FAULTLINE_PAGER_OR_SKIP(pager, tight_config());
    Region region = pager.reserve(kPages * kBasePageBytes);
    fill_with_units(region);
    const std::size_t frame = signal_frame_bytes();
    for (const std::size_t bytes : {frame + 8, least_stack_bytes(), least_stack_bytes() + 64,
                                    least_stack_bytes() + 1024, least_stack_bytes() + 8192}) {
        std::size_t wrong = 0;
        std::size_t overrun = 1;
        run_threads(1, [&](unsigned) {
            const SmallStack stack{bytes};
            write_and_read(region, wrong);
            overrun = stack.overrun_bytes();
        });
        EXPECT_EQ(wrong, 0U) << bytes << " bytes";
        EXPECT_EQ(overrun, 0U) << bytes << " bytes";
    }
    EXPECT_GT(pager.stats().direct_reclaims, 0U);
}

/// Returns how many bytes of the first handler stack have ever been written to, counted from its top.
std::size_t used_of_first_stack() {
    const auto* const top = reinterpret_cast<const std::byte*>(faultline_handler_stacks.begin +  // NOLINT
                                                               HandlerStacks::kStackBytes);
    const std::byte* const bottom = top - HandlerStacks::kStackBytes + kBasePageBytes;
    return static_cast<std::size_t>(top -
                                    std::find_if(bottom, top, [](std::byte byte) { return byte != std::byte{}; }));
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::size_t kDeepest = 32768;
#else
constexpr std::size_t kDeepest = 6144;  // the figure in docs/signal-safety.md
#endif

TEST_P(SmallStacks, DeepestFaultStaysWithinTheDocumentedStackUse) {
    Config config = tight_config();
    config.compressed_limit = std::size_t{256} << 10;
    FAULTLINE_PAGER_OR_SKIP(pager, config);
    Region region = pager.reserve(kPages * kBasePageBytes);
    fill_with_units(region);
    std::size_t wrong = 0;
    run_threads(1, [&](unsigned) {
        const SmallStack stack{least_stack_bytes()};
        write_and_read(region, wrong);
    });
    EXPECT_EQ(wrong, 0U);
    EXPECT_GT(used_of_first_stack(), 0U);
    EXPECT_LT(used_of_first_stack(), kDeepest);
    EXPECT_LT(used_of_first_stack(), faultline_handler_stacks.least_room);
}

TEST_P(SmallStacks, ForeignHandlerGetsTheSameSiginfoAndMayJumpOut) {
    const ScopedSignal foreign{SIGSEGV, &CaughtSignal::jump_out, SA_ONSTACK};
    FAULTLINE_PAGER_OR_SKIP(pager, tight_config());
    Region region = pager.reserve(kPages * kBasePageBytes);
    fill_with_units(region);
    region.protect(region.data(), kBasePageBytes, Access::none);
    ASSERT_TRUE(read_is_caught(region.data()));  // binds lazily bound functions on a large stack
    run_threads(1, [&](unsigned) {
        const SmallStack stack{signal_frame_bytes() + kForAHandler};
        std::size_t wrong = 0;
        for (std::size_t i = 0; i < 1000; ++i) {
            ASSERT_TRUE(read_is_caught(region.data() + 8 * (i % 512)));
            EXPECT_EQ(CaughtSignal::address, region.data() + 8 * (i % 512));
            EXPECT_EQ(CaughtSignal::code, SEGV_ACCERR);
            wrong += wrong_words(region, 1 + i % (kPages - 1));
        }
        EXPECT_EQ(wrong, 0U);
        EXPECT_EQ(stack.overrun_bytes(), 0U);
    });
    EXPECT_EQ(HandlerStacks::taken(), 0U);
}

ViolationAnswer leave(const AccessViolation& violation, void*) {
    CaughtSignal::address = const_cast<void*>(violation.address);
    siglongjmp(CaughtSignal::before_the_touch, 1);
}

TEST_P(SmallStacks, ViolationHandlerMayJumpOut) {
    FAULTLINE_PAGER_OR_SKIP(pager, tight_config());
    AddressSpace space{pager};
    space.on_violation(&leave);
    const std::byte* const forbidden = space.stack_begin() - 8;
    ASSERT_TRUE(read_is_caught(forbidden));
    run_threads(1, [&](unsigned) {
        const SmallStack stack{signal_frame_bytes() + kForAHandler};
        for (int i = 0; i < 1000; ++i) {
            CaughtSignal::address = nullptr;
            ASSERT_TRUE(read_is_caught(forbidden));
            EXPECT_EQ(CaughtSignal::address, forbidden);
        }
        EXPECT_EQ(stack.overrun_bytes(), 0U);
    });
    EXPECT_EQ(HandlerStacks::taken(), 0U);
}

TEST_P(SmallStacks, ManyThreadsMayFaultAtOnce) {
    constexpr unsigned kThreads = 64;
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(kThreads * 2));
    Region region = pager.reserve(kThreads * 4 * kBasePageBytes);
    fill_with_units(region);
    std::atomic<std::size_t> wrong{0};
    std::atomic<std::size_t> overrun{0};
    run_threads(kThreads, [&](unsigned index) {
        const SmallStack stack{signal_frame_bytes() + 8};
        for (std::uint64_t i = 0; i < 200; ++i) wrong += wrong_words(region, (index * 4 + i) % units_of(region));
        overrun += stack.overrun_bytes();
    });
    EXPECT_EQ(wrong.load(), 0U);
    EXPECT_EQ(overrun.load(), 0U);
    EXPECT_EQ(HandlerStacks::taken(), 0U);
}

TEST_P(SmallStacks, ChildOfForkResolvesFaultsOnASmallStack) {
    Config config = tight_config();
    config.fork = ForkPolicy::inherit;
    FAULTLINE_PAGER_OR_SKIP(pager, config);
    Region region = pager.reserve(kPages * kBasePageBytes);
    fill_with_units(region);
    std::atomic<bool> done{false};
    run_threads(3, [&](unsigned index) {
        const SmallStack stack{signal_frame_bytes() + 8};
        std::size_t wrong = 0;
        if (index > 0) {
            while (!done.load()) write_and_read(region, wrong);
            EXPECT_EQ(wrong, 0U);
            return;
        }
        for (int i = 0; i < 5; ++i) {
            const ChildEnd end = in_child([&] {
                write_and_read(region, wrong);
                return wrong == 0 && stack.overrun_bytes() == 0 && HandlerStacks::taken() == 0 ? 0 : 1;
            });
            EXPECT_TRUE(end.exited_with(0)) << end;
        }
        done.store(true);
    });
}

INSTANTIATE_TEST_SUITE_P(Signals, SmallStacks, testing::ValuesIn(deliveries_by_signal()), VariantName{});

}  // namespace
}  // namespace faultline::test
