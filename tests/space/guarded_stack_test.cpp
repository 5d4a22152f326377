// GuardedStack: grows to its limit, has a guard, survives overflows, passes exceptions, gives memory back.

#include "space/stack_support.hpp"
#include "support/all_mappings.hpp"
#include "support/fault_catcher.hpp"
#include "support/process.hpp"

#include <faultline/alternate_stack.hpp>

#include <execinfo.h>
#include <fenv.h>
#include <pthread.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <stdexcept>
#include <thread>

namespace faultline::test {
namespace {

class GuardedStacks : public TrapMatrix {};

constexpr int kDepth = 40;  // KiB

TEST_P(GuardedStacks, FunctionRunsOnTheStackAndReturns) {
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(64));
    GuardedStack stack{pager, kStackBytes};
    const std::byte* inside = nullptr;
    std::size_t wrong = 1;
    const auto overflow = stack.run([&] {
        inside = stack_pointer();
        wrong = descend(kDepth, seed());
    });
    EXPECT_FALSE(overflow.has_value());
    EXPECT_TRUE(is_in(stack.memory(), inside));
    EXPECT_FALSE(is_in(stack.memory(), stack_pointer()));
    EXPECT_EQ(wrong, 0U);
}

TEST_P(GuardedStacks, StackTakesMemoryPageByPageAsItGrows) {
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(64));
    StackPool pool{pager, {.stack_bytes = kStackBytes, .stacks = 4}};
    GuardedStack stack = pool.take();
    EXPECT_EQ(pool.stats().resident_bytes, 0U);
    ASSERT_FALSE(stack.run([&] { EXPECT_EQ(pool.stats().resident_bytes, kBasePageBytes); }));
    ASSERT_FALSE(stack.run([&] { EXPECT_EQ(descend(20, 1), 0U); }));
    const std::size_t shallow = pool.stats().resident_bytes;
    EXPECT_GE(shallow, std::size_t{20} << 10);
    EXPECT_LT(shallow, kStackBytes);
    ASSERT_FALSE(stack.run([&] { EXPECT_EQ(descend(kDepth, 1), 0U); }));
    EXPECT_GE(pool.stats().resident_bytes, std::size_t{kDepth} << 10);
    EXPECT_EQ(pool.stats().pages_read_ahead, 0U);
}

TEST_P(GuardedStacks, PagesOfARunningStackAreEvictedAndReadBack) {
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(20));
    GuardedStack stack{pager, kStackBytes};
    Region other = pager.reserve(40 * kBasePageBytes);
    std::size_t wrong = 1;
    ASSERT_FALSE(stack.run([&] {
        wrong = 0;
        for (int round = 0; round < 4; ++round) {
            wrong += descend(10, seed());
            fill_with_units(other);
            wrong += wrong_words(other) + descend(10, seed());
        }
    }));
    EXPECT_EQ(wrong, 0U);
    EXPECT_GT(pager.stats().evictions, 0U);
}

TEST_P(GuardedStacks, OverflowIsReportedAndSurvived) {
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(256));
    GuardedStack stack{pager, kStackBytes};
    expect_overflow_of(stack.run([] { descend_for_ever(nullptr); }), stack.memory());
    std::size_t wrong = 1;
    EXPECT_FALSE(stack.run([&] { wrong = descend(kDepth, seed()); }));
    EXPECT_EQ(wrong, 0U);
}

TEST_P(GuardedStacks, EachOfAThousandOverflowsInARowIsSurvived) {
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(4096));
    StackPool pool{pager, {.stack_bytes = 2 * kBasePageBytes, .stacks = 1000}};
    const AlternateStack alternate;
    std::vector<GuardedStack> stacks;
    for (int i = 0; i < 1000; ++i) stacks.push_back(pool.take());
    for (GuardedStack& stack : stacks) {
        expect_overflow_of(stack.run([] { descend_for_ever(nullptr); }), stack.memory());
        if (HasFatalFailure()) return;
    }
    for (int i = 0; i < 200; ++i) {
        expect_overflow_of(stacks.front().run([] { descend_for_ever(nullptr); }), stacks.front().memory());
        if (HasFatalFailure()) return;
    }
}

TEST_P(GuardedStacks, ThreadsOverflowTheirOwnStacksAtTheSameTime) {
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(256));
    StackPool pool{pager, {.stack_bytes = 2 * kBasePageBytes, .stacks = 4}};
    std::atomic<int> overflows{0};
    run_threads(4, [&](unsigned) {
        GuardedStack stack = pool.take();
        for (int i = 0; i < 50; ++i) {
            const auto overflow = stack.run([] { descend_for_ever(nullptr); });
            if (overflow && overflow->stack == stack.memory().data()) ++overflows;
        }
    });
    EXPECT_EQ(overflows.load(), 200);
}

TEST_P(GuardedStacks, OverflowInANestedRunEndsThatOneOnly) {
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(256));
    StackPool pool{pager, {.stack_bytes = kStackBytes, .stacks = 2}};
    GuardedStack outer = pool.take();
    GuardedStack inner = pool.take();
    std::size_t wrong = 1;
    const auto overflow = outer.run([&] {
        expect_overflow_of(inner.run([] { descend_for_ever(nullptr); }), inner.memory());
        wrong = descend(kDepth, seed());
    });
    EXPECT_FALSE(overflow.has_value());
    EXPECT_EQ(wrong, 0U);
    EXPECT_FALSE(inner.run([&] { wrong += descend(kDepth, seed()); }));
    EXPECT_EQ(wrong, 0U);
}

TEST_P(GuardedStacks, ExceptionPassesThrough) {
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(64));
    GuardedStack stack{pager, kStackBytes};
    for (int i = 0; i < 3; ++i) {
        bool destroyed = false;
        struct OnExit {
            bool& flag;
            ~OnExit() { flag = true; }
        };
        try {
            static_cast<void>(stack.run([&] {
                const OnExit local{destroyed};
                throw std::runtime_error("from the other stack");
            }));
            ADD_FAILURE() << "nothing was thrown";
        } catch (const std::runtime_error& error) {
            EXPECT_STREQ(error.what(), "from the other stack");
        }
        EXPECT_TRUE(destroyed);
        EXPECT_FALSE(stack.run([] {}));
    }
    EXPECT_EQ(pager.stats().pinned_bytes, 0U);
}

TEST_P(GuardedStacks, ThreadCanLiveOnAManagedStack) {
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(24));
    StackPool pool{pager, {.stack_bytes = kStackBytes, .stacks = 2}};
    std::array<std::size_t, 2> wrong{1, 1};
    run_threads(2, [&](unsigned index) {
        GuardedStack stack = pool.take();
        EXPECT_FALSE(stack.run([&] {
            wrong[index] = 0;
            for (int i = 0; i < 20; ++i) wrong[index] += descend(12, seed() + index);
        }));
    });
    EXPECT_EQ(wrong[0] + wrong[1], 0U);
}

// ---- giving memory back

TEST_P(GuardedStacks, TrimmingAnIdleStackFreesAllOfIt) {
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(64));
    StackPool pool{pager, {.stack_bytes = kStackBytes, .stacks = 2}};
    GuardedStack stack = pool.take();
    ASSERT_FALSE(stack.run([&] { EXPECT_EQ(descend(kDepth, 1), 0U); }));
    ASSERT_GT(pool.stats().resident_bytes, 0U);
    stack.trim();
    EXPECT_EQ(pool.stats().resident_bytes + pool.stats().staged_bytes + pool.stats().swapped_bytes, 0U);
    std::size_t wrong = 1;
    EXPECT_FALSE(stack.run([&] { wrong = descend(kDepth, seed()); }));
    EXPECT_EQ(wrong, 0U);
}

TEST_P(GuardedStacks, TrimmingARunningStackFreesThePagesBelowItsPointer) {
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(64));
    StackPool pool{pager, {.stack_bytes = kStackBytes, .stacks = 2}};
    GuardedStack stack = pool.take();
    ASSERT_FALSE(stack.run([&] {
        std::array<volatile std::uint64_t, 1024> mine;  // 2 pages that trimming must keep
        for (std::size_t i = 0; i < mine.size(); ++i) mine[i] = i + seed();
        EXPECT_EQ(descend(kDepth, 1), 0U);
        const std::uint64_t deep = pool.stats().resident_bytes;
        for (const bool by_handle : {false, true}) {
            if (by_handle) {
                stack.trim();
            } else {
                EXPECT_TRUE(trim_current_stack());
            }
            EXPECT_LT(pool.stats().resident_bytes + 16 * 1024, deep);
        }
        EXPECT_GE(pool.stats().resident_bytes, 2 * kBasePageBytes);
        for (std::size_t i = 0; i < mine.size(); ++i) ASSERT_EQ(mine[i], i + seed());
    }));
    EXPECT_FALSE(trim_current_stack());
}

TEST_P(GuardedStacks, AReusedStackIsZerosAndTakesNoMemory) {
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(24));
    StackPool pool{pager, {.stack_bytes = kStackBytes, .stacks = 1}};
    for (int round = 0; round < 3; ++round) {
        GuardedStack stack = pool.take();
        EXPECT_EQ(pool.taken(), 1U);
        const std::span<std::byte> memory = stack.memory();
        EXPECT_EQ(std::count(memory.begin(), memory.end(), std::byte{0}), std::ptrdiff_t(memory.size()));
        std::fill(memory.begin(), memory.end(), std::byte{0xa5});
        stack = {};
        EXPECT_EQ(pool.stats().resident_bytes + pool.stats().staged_bytes + pool.stats().swapped_bytes, 0U);
    }
    EXPECT_EQ(pool.taken(), 0U);
}

// ---- refusals, and faults that are no overflow

TEST_P(GuardedStacks, PoolRefusesWhenAllStacksAreInUse) {
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(24));
    StackPool pool{pager, {.stack_bytes = kStackBytes, .stacks = 2}};
    GuardedStack first = pool.take();
    {
        const GuardedStack second = pool.take();
        try {
            static_cast<void>(pool.take());
            ADD_FAILURE() << "took a third of two stacks";
        } catch (const std::system_error& error) {
            EXPECT_EQ(error.code().value(), ENOMEM) << error.what();
        }
    }
    EXPECT_TRUE(static_cast<bool>(pool.take()));
}

TEST_P(GuardedStacks, StackThatRunsRefusesToRunAgain) {
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(64));
    GuardedStack stack{pager, kStackBytes};
    int code = 0;
    ASSERT_FALSE(stack.run([&] {
        try {
            static_cast<void>(stack.run([] {}));
        } catch (const std::system_error& error) {
            code = error.code().value();
        }
    }));
    EXPECT_EQ(code, EBUSY);
}

TEST_P(GuardedStacks, StrayPointerIntoAGuardIsNotAnOverflow) {
    const FaultCatcher catcher;
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(64));
    StackPool pool{pager, {.stack_bytes = kStackBytes, .stacks = 2}};
    GuardedStack stack = pool.take();
    GuardedStack other = pool.take();
    const AlternateStack alternate;
    for (std::byte* const guard : {stack.memory().data() - 1, stack.memory().data() - kBasePageBytes}) {
        for (int i = 0; i < 2; ++i) {
            EXPECT_EQ(FaultCatcher::read(guard).signal, SIGSEGV);
            const Caught caught = FaultCatcher::write(guard);
            EXPECT_EQ(caught.signal, SIGSEGV);
            EXPECT_EQ(caught.address, guard);
            const auto looked_up = stack_overflow_at(guard);
            ASSERT_TRUE(looked_up.has_value());
            EXPECT_EQ(looked_up->stack, stack.memory().data());
        }
        // Nor is it one from a run on another stack.
        ASSERT_FALSE(other.run([&] { EXPECT_EQ(FaultCatcher::write(guard).signal, SIGSEGV); }));
    }
    EXPECT_FALSE(stack_overflow_at(stack.memory().data()).has_value());
    EXPECT_FALSE(stack_overflow_at(&catcher).has_value());
}

TEST_P(GuardedStacks, OtherFaultsReachTheProgramsHandler) {
    const FaultCatcher catcher;
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(64));
    GuardedStack stack{pager, kStackBytes};
    auto* const nowhere = reinterpret_cast<std::byte*>(kBasePageBytes / 2);
    for (int i = 0; i < 3; ++i) {
        ASSERT_FALSE(stack.run([&] {
            const Caught caught = FaultCatcher::write(nowhere);
            EXPECT_EQ(caught.signal, SIGSEGV);
            EXPECT_EQ(caught.address, nowhere);
        }));
    }
    EXPECT_TRUE(stack.run([] { descend_for_ever(nullptr); }).has_value());
    EXPECT_EQ(FaultCatcher::read(nowhere).signal, SIGSEGV);
}

TEST_P(GuardedStacks, GuardsStayAfterTheStackWasEvictedAndGivenBack) {
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(12));
    StackPool pool{pager, {.stack_bytes = 4 * kBasePageBytes, .stacks = 8, .pinned_bytes = 0}};
    for (int round = 0; round < 3; ++round) {
        std::vector<GuardedStack> stacks;
        for (int i = 0; i < 8; ++i) stacks.push_back(pool.take());
        for (GuardedStack& stack : stacks) {
            std::fill(stack.memory().begin(), stack.memory().end(), std::byte{1});
            EXPECT_TRUE(stack.run([] { descend_for_ever(nullptr); }).has_value());
        }
        for (GuardedStack& stack : stacks) EXPECT_TRUE(stack.run([] { descend_for_ever(nullptr); }).has_value());
    }
    EXPECT_GT(pager.stats().evictions, 0U);
}

INSTANTIATE_TEST_SUITE_P(Matrix, GuardedStacks, testing::ValuesIn(deliveries_and_evictions()), VariantName{});

// ---- tests that are the same in every delivery

class GuardedStackState : public TrapTest {
protected:
    static Config config() {
        Config config;
        config.delivery = Delivery::uffd_signal;
        config.resident_limit = 256 * kBasePageBytes;
        return config;
    }
};

TEST_F(GuardedStackState, OverflowRestoresTheSignalMaskAndFloatingPoint) {
    FAULTLINE_PAGER_OR_SKIP(pager, config());
    GuardedStack stack{pager, kStackBytes};
    sigset_t before;
    sigset_t after;
    ASSERT_EQ(::pthread_sigmask(SIG_SETMASK, nullptr, &before), 0);
    ASSERT_EQ(::fegetround(), FE_TONEAREST);
    EXPECT_TRUE(stack
                    .run([] {
                        sigset_t some;
                        sigemptyset(&some);
                        sigaddset(&some, SIGUSR1);
                        ::pthread_sigmask(SIG_BLOCK, &some, nullptr);
                        ::fesetround(FE_UPWARD);
                        descend_for_ever(nullptr);
                    })
                    .has_value());
    ASSERT_EQ(::pthread_sigmask(SIG_SETMASK, nullptr, &after), 0);
    EXPECT_EQ(sigismember(&after, SIGUSR1), sigismember(&before, SIGUSR1));
    EXPECT_EQ(::fegetround(), FE_TONEAREST);
}

TEST_F(GuardedStackState, OverflowInsideACatchBlockLeavesNoExceptionStateBehind) {
    FAULTLINE_PAGER_OR_SKIP(pager, config());
    GuardedStack stack{pager, kStackBytes};
    EXPECT_TRUE(stack
                    .run([] {
                        try {
                            throw std::runtime_error("handled for ever");
                        } catch (const std::runtime_error&) {
                            descend_for_ever(nullptr);
                        }
                    })
                    .has_value());
    EXPECT_EQ(std::current_exception(), nullptr);
    EXPECT_EQ(std::uncaught_exceptions(), 0);
    EXPECT_THROW(static_cast<void>(stack.run([] { throw std::logic_error("next"); })), std::logic_error);
}

[[gnu::noinline]] int frames_from_here() {
    std::array<void*, 64> frames{};
    return ::backtrace(frames.data(), int(frames.size()));
}

TEST_F(GuardedStackState, UnwinderWalksFromOneStackToTheOther) {
    FAULTLINE_PAGER_OR_SKIP(pager, config());
    GuardedStack stack{pager, kStackBytes};
    int inside = 0;
    ASSERT_FALSE(stack.run([&] { inside = frames_from_here(); }));
    EXPECT_GT(inside, frames_from_here());
}

TEST_F(GuardedStackState, ControlCallsWorkOnManagedStacksWithAbsentPages) {
    FAULTLINE_PAGER_OR_SKIP(pager, config());
    StackPool pool{pager, {.stack_bytes = kStackBytes, .stacks = 8}};
    GuardedStack stack = pool.take();
    EXPECT_FALSE(stack.run([&] {
        for (int i = 0; i < 10; ++i) {
            trim_current_stack();
            GuardedStack other = pool.take();
            trim_current_stack();
            EXPECT_FALSE(other.run([] { trim_current_stack(); }));
            trim_current_stack();
            StackPool more{pager, {.stack_bytes = kStackBytes, .stacks = 2}};
            const GuardedStack third = more.take();
            trim_current_stack();
        }
    }));
}

TEST_F(GuardedStackState, OverflowOutsideARunIsReportedAndKills) {
    FAULTLINE_SKIP_UNLESS_PERMITTED(config());
    const ChildEnd end = in_child([] {
        Pager pager{config()};
        StackPool pool{pager, {.stack_bytes = kStackBytes, .stacks = 2}};
        const AlternateStack alternate;
        const std::span<std::byte> memory = pool.take_memory();
        // Switches to the stack without `run` and pushes beyond its end, as foreign code may.
        asm volatile("movq %0, %%rsp\n1: pushq $0\njmp 1b" : : "r"(memory.data() + memory.size()) : "memory");
        return 0;
    });
    EXPECT_TRUE(end.killed_by(SIGSEGV)) << end;
    EXPECT_NE(end.said.find("stack overflow"), std::string::npos) << end;
    EXPECT_NE(end.said.find(std::to_string(kStackBytes + 8) + " bytes deep"), std::string::npos) << end;
}

TEST_F(GuardedStackState, ChildThatInheritsThePagerHasTheStacksAndTheirGuards) {
#if defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "ThreadSanitizer lets no child of fork start threads";
#endif
    Config inherited = config();
    inherited.fork = ForkPolicy::inherit;
    FAULTLINE_SKIP_UNLESS_PERMITTED(inherited);
    Pager pager{inherited};
    GuardedStack stack{pager, kStackBytes};
    std::fill(stack.memory().begin(), stack.memory().end(), std::byte{7});
    const ChildEnd end = in_child([&] {
        const std::span<std::byte> memory = stack.memory();
        if (std::count(memory.begin(), memory.end(), std::byte{7}) != std::ptrdiff_t(memory.size())) return 1;
        for (int i = 0; i < 3; ++i) {
            if (!stack.run([] { descend_for_ever(nullptr); })) return 2;
            if (stack.run([] {})) return 3;
        }
        return 0;
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
    EXPECT_TRUE(stack.run([] { descend_for_ever(nullptr); }).has_value());
}

/// Locks the addresses of a slot's guard, so that the kernel refuses a guard marker there, like a kernel without
/// markers.
void refuse_markers(std::span<const std::byte> stack_below) {
    constexpr unsigned kOnFault = 1;  // MLOCK_ONFAULT
    ASSERT_EQ(::mlock2(stack_below.data() + stack_below.size(), kBasePageBytes, kOnFault), 0);
}

TEST_F(GuardedStackState, GuardIsAProtectionOnKernelsWithoutMarkers) {
    if (kThreadSanitized) GTEST_SKIP() << "ThreadSanitizer adds mappings of its own";
    FAULTLINE_PAGER_OR_SKIP(pager, config());
    StackPool pool{pager, {.stack_bytes = kStackBytes, .stacks = 3}};
    GuardedStack first = pool.take();
    refuse_markers(first.memory());
    const std::size_t before = mappings();
    GuardedStack second = pool.take();
    EXPECT_EQ(mappings(), before);  // the locked guard was a mapping of its own before
    for (int i = 0; i < 3; ++i) {
        expect_overflow_of(second.run([] { descend_for_ever(nullptr); }), second.memory());
        expect_overflow_of(first.run([] { descend_for_ever(nullptr); }), first.memory());
    }
}

TEST_F(GuardedStackState, GuardIsRefusedWithAdviceWhenNoMappingIsLeft) {
    if (kThreadSanitized) GTEST_SKIP() << "ThreadSanitizer adds mappings of its own";
    FAULTLINE_SKIP_UNLESS_PERMITTED(config());
    const ChildEnd end = in_child([] {
        Pager pager{config()};
        StackPool pool{pager, {.stack_bytes = kStackBytes, .stacks = 3}};
        GuardedStack first = pool.take();
        // Locks two pages, so that the guard is not a mapping of its own.
        ::mlock2(first.memory().data() + first.memory().size() - kBasePageBytes, 3 * kBasePageBytes, 1);
        try {
            const AllMappings others;
            static_cast<void>(pool.take());
            return 1;
        } catch (const std::system_error& error) {
            if (error.code().value() != ENOMEM) return 2;
            if (std::string(error.what()).find("vm.max_map_count") == std::string::npos) return 3;
        }
        return pool.taken() == 1 && !first.run([] {}) ? 0 : 4;
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
}

TEST_F(GuardedStackState, StackInThreadStorageIsGivenBackWhenTheThreadEnds) {
    FAULTLINE_PAGER_OR_SKIP(pager, config());
    StackPool pool{pager, {.stack_bytes = kStackBytes, .stacks = 2}};
    std::thread{[&] {
        static thread_local std::optional<GuardedStack> late;
        late.reset();  // constructed before the thread's service stack, so destroyed after it
        late.emplace(pool.take());
        EXPECT_FALSE(late->run([] {}));
    }}.join();
    EXPECT_EQ(pool.taken(), 0U);
    EXPECT_EQ(pool.stats().resident_bytes, 0U);
}

TEST_F(GuardedStackState, BadOptionsAreRefused) {
    FAULTLINE_PAGER_OR_SKIP(pager, config());
    for (const StackPoolOptions& options : {StackPoolOptions{.stack_bytes = 0}, StackPoolOptions{.stacks = 0},
                                            StackPoolOptions{.stack_bytes = 4096, .pinned_bytes = 8192},
                                            StackPoolOptions{.stack_bytes = std::size_t{1} << 40, .stacks = 1000}}) {
        EXPECT_THROW((StackPool{pager, options}), std::system_error);
    }
}

}  // namespace
}  // namespace faultline::test
