// Tests the entry to the fault handler with the test's own resolver: which code runs on which stack, and when a stack
// is given back.

#include "mmu/handler_stacks.hpp"
#include "mmu/closed_page.hpp"
#include "mmu/signal_fault_source.hpp"
#include "support/small_stack.hpp"
#include "traps/trap_support.hpp"

#include <execinfo.h>
#include <setjmp.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstring>
#include <optional>
#include <vector>

namespace faultline::test {
namespace {

using core::FaultOutcome;
using mmu::HandlerStacks;

/// Uses more than any of the stacks has left.
[[gnu::noinline]] void use_stack() noexcept {
    std::array<volatile std::byte, 12288> frame;
    for (volatile std::byte& byte : frame) byte = std::byte{1};
}

FaultOutcome open_page(const core::PageFault& fault) noexcept {
    use_stack();
    open_page_at(fault.address);
    return FaultOutcome::resolved;
}

FaultOutcome refuse(const core::PageFault&) noexcept {
    use_stack();
    return FaultOutcome::not_ours;
}

FaultOutcome forbid(const core::PageFault&) noexcept {
    use_stack();
    return FaultOutcome::access_violation;
}

core::ViolationReport say_nothing(const core::PageFault&) noexcept { return {}; }

/// Returns stack sizes, starting with one that holds only the kernel's signal frame.
std::vector<std::size_t> small_sizes() {
    const std::size_t frame = signal_frame_bytes();
    return {frame + 1, frame + 8, least_stack_bytes(), least_stack_bytes() + 64, least_stack_bytes() + 1024};
}

class HandlerStacksTest : public TrapTest {
protected:
    ~HandlerStacksTest() override { EXPECT_EQ(HandlerStacks::taken(), 0U); }
};

TEST_F(HandlerStacksTest, NothingIsWrittenBelowTheProgramsStack) {
    const mmu::SignalFaultSource source{SIGSEGV, &open_page, &say_nothing};
    const ClosedPage page;
    for (const std::size_t bytes : small_sizes()) {
        const SmallStack stack{bytes};
        for (int i = 0; i < 10; ++i) {
            page.close();
            write_word(page.begin(), 1);
        }
        EXPECT_EQ(stack.overrun_bytes(), 0U) << bytes;
    }
}

// ---- The program's handlers

thread_local sigjmp_buf before_the_touch;
std::atomic<std::uintptr_t> handlers_frame{0};
std::atomic<void*> handlers_address{nullptr};
std::atomic<int> handlers_code{0};

void jump_out(int, siginfo_t* info, void*) {
    std::byte here{};
    handlers_frame.store(reinterpret_cast<std::uintptr_t>(&here));
    handlers_address.store(info->si_addr);
    handlers_code.store(info->si_code);
    siglongjmp(before_the_touch, 1);
}

void open_in_handler(int, siginfo_t* info, void*) { open_page_at(reinterpret_cast<std::uintptr_t>(info->si_addr)); }

[[gnu::noinline]] bool touch_is_caught(std::byte* at) {
    if (sigsetjmp(before_the_touch, 1) != 0) return true;
    write_word(at, 1);
    return false;
}

std::uint64_t blocked_now() {
    sigset_t set;
    ::pthread_sigmask(SIG_BLOCK, nullptr, &set);
    std::uint64_t mask = 0;
    std::memcpy(&mask, &set, sizeof mask);
    return mask;
}

bool lies_on(const SmallStack& stack, std::uintptr_t at) {
    return at >= reinterpret_cast<std::uintptr_t>(stack.begin()) && at < reinterpret_cast<std::uintptr_t>(stack.end());
}

TEST_F(HandlerStacksTest, ForeignHandlerRunsOnTheProgramsStackAndMayJumpOut) {
    const ScopedSignal foreign{SIGSEGV, &jump_out, SA_ONSTACK};
    const mmu::SignalFaultSource source{SIGSEGV, &refuse, &say_nothing};
    const ClosedPage page;
    ASSERT_TRUE(touch_is_caught(page.begin()));  // binds the functions that it calls
    const SmallStack stack{signal_frame_bytes() + kForAHandler};
    for (int i = 0; i < 1000; ++i) {
        handlers_address.store(nullptr);
        ASSERT_TRUE(touch_is_caught(page.begin() + i));
        EXPECT_EQ(handlers_address.load(), page.begin() + i);
        EXPECT_EQ(handlers_code.load(), SEGV_ACCERR);
        EXPECT_TRUE(lies_on(stack, handlers_frame.load()));
        EXPECT_EQ(HandlerStacks::taken(), 0U);
    }
    EXPECT_EQ(stack.overrun_bytes(), 0U);
}

TEST_F(HandlerStacksTest, ForeignHandlerMayReturn) {
    const ScopedSignal foreign{SIGSEGV, &open_in_handler, SA_ONSTACK};
    const mmu::SignalFaultSource source{SIGSEGV, &refuse, &say_nothing};
    const ClosedPage page;
    const SmallStack stack{signal_frame_bytes() + kForAHandler};
    const std::uint64_t before = blocked_now();
    for (int i = 0; i < 10; ++i) {
        page.close();
        write_word(page.begin(), 1);
    }
    EXPECT_EQ(blocked_now(), before);
    EXPECT_EQ(stack.overrun_bytes(), 0U);
}

// ---- Violations

ViolationAnswer leave(const AccessViolation& violation, void*) {
    handlers_address.store(const_cast<void*>(violation.address));
    siglongjmp(before_the_touch, 1);
}
ViolationAnswer open_and_retry(const AccessViolation& violation, void*) {
    open_page_at(reinterpret_cast<std::uintptr_t>(violation.address));
    return ViolationAnswer::retry;
}
ViolationAnswer deliver(const AccessViolation&, void*) { return ViolationAnswer::deliver; }

ViolationHandler violation_handler = nullptr;

core::ViolationReport say_address(const core::PageFault& fault) noexcept {
    core::ViolationReport report;
    report.violation.address = reinterpret_cast<const void*>(fault.address);  // NOLINT
    report.violation.kind = ViolationKind::unmapped;
    report.handler = violation_handler;
    return report;
}

TEST_F(HandlerStacksTest, ViolationHandlerMayJumpOut) {
    const mmu::SignalFaultSource source{SIGSEGV, &forbid, &say_address};
    const ClosedPage page;
    violation_handler = &leave;
    ASSERT_TRUE(touch_is_caught(page.begin()));
    const SmallStack stack{signal_frame_bytes() + kForAHandler};
    for (int i = 0; i < 1000; ++i) {
        ASSERT_TRUE(touch_is_caught(page.begin() + i));
        EXPECT_EQ(handlers_address.load(), page.begin() + i);
        EXPECT_EQ(HandlerStacks::taken(), 0U);
    }
    EXPECT_EQ(stack.overrun_bytes(), 0U);
}

TEST_F(HandlerStacksTest, ViolationHandlerMayHaveTheAccessRepeated) {
    const mmu::SignalFaultSource source{SIGSEGV, &forbid, &say_address};
    const ClosedPage page;
    violation_handler = &open_and_retry;
    const SmallStack stack{signal_frame_bytes() + kForAHandler};
    for (int i = 0; i < 10; ++i) {
        page.close();
        write_word(page.begin(), 1);
    }
    EXPECT_EQ(stack.overrun_bytes(), 0U);
}

TEST_F(HandlerStacksTest, ViolationThatItsHandlerDeliversComesToTheForeignHandler) {
    const ScopedSignal foreign{SIGSEGV, &jump_out, SA_ONSTACK};
    const mmu::SignalFaultSource source{SIGSEGV, &forbid, &say_address};
    const ClosedPage page;
    violation_handler = &deliver;
    ASSERT_TRUE(touch_is_caught(page.begin()));
    const SmallStack stack{signal_frame_bytes() + kForAHandler};
    for (int i = 0; i < 1000; ++i) {
        ASSERT_TRUE(touch_is_caught(page.begin() + i));
        EXPECT_EQ(handlers_address.load(), page.begin() + i);
        EXPECT_EQ(handlers_code.load(), SEGV_MAPERR);
        EXPECT_TRUE(lies_on(stack, handlers_frame.load()));
    }
    EXPECT_EQ(stack.overrun_bytes(), 0U);
}

// ---- A handler in front of ours

struct sigaction behind_front {};
std::atomic<std::uint64_t> mask_changes{0};

void call_the_one_behind(int signal, siginfo_t* info, void* context) {
    const std::uint64_t before = blocked_now();
    behind_front.sa_sigaction(signal, info, context);
    mask_changes += before != blocked_now();
}

#ifdef __clang__
void jump_to_the_one_behind(int signal, siginfo_t* info, void* context) {
    [[clang::musttail]] return behind_front.sa_sigaction(signal, info, context);
}
#else
[[gnu::optimize("O2")]] void jump_to_the_one_behind(int signal, siginfo_t* info, void* context) {
    behind_front.sa_sigaction(signal, info, context);
}
#endif

void ignore(int, siginfo_t*, void*) {}

/// Installs `front` in front of the source's handler, with an empty mask.
void expect_front_handler_may_pass_on(ScopedSignal::Handler front) {
    const mmu::SignalFaultSource source{SIGSEGV, &open_page, &say_nothing};
    ASSERT_EQ(::sigaction(SIGSEGV, nullptr, &behind_front), 0);
    const ScopedSignal in_front{SIGSEGV, front, SA_ONSTACK};
    const ScopedSignal ticking{SIGRTMIN, &ignore, SA_ONSTACK};
    const ClosedPage page;
    page.close();
    write_word(page.begin(), 1);
    mask_changes.store(0);
    run_threads(2, [&](unsigned) {
        const ClosedPage own;
        const SmallStack stack{2 * signal_frame_bytes() + kForAHandler};  // with room for the timer signals
        const ThreadTimer timer{SIGRTMIN, std::chrono::microseconds{100}};
        for (int i = 0; i < 2000; ++i) {
            own.close();
            write_word(own.begin(), 1);
        }
        EXPECT_EQ(stack.overrun_bytes(), 0U);
    });
    EXPECT_EQ(mask_changes.load(), 0U);
}

TEST_F(HandlerStacksTest, HandlerInFrontMayCallOurs) { expect_front_handler_may_pass_on(&call_the_one_behind); }

TEST_F(HandlerStacksTest, HandlerInFrontMayJumpToOurs) { expect_front_handler_may_pass_on(&jump_to_the_one_behind); }

// ---- Many threads

std::atomic<std::uint32_t> inside{0};
std::atomic<std::uint32_t> most_inside{0};
std::atomic<bool> may_leave{false};

FaultOutcome open_page_when_told(const core::PageFault& fault) noexcept {
    most_inside.store(std::max(most_inside.load(), inside.fetch_add(1) + 1));
    inside.notify_all();
    may_leave.wait(false);
    inside.fetch_sub(1);
    open_page_at(fault.address);
    return FaultOutcome::resolved;
}

void wait_until_inside(std::uint32_t threads) {
    for (std::uint32_t now = inside.load(); now < threads; now = inside.load()) inside.wait(now);
}

TEST_F(HandlerStacksTest, MoreThreadsThanStacksWaitForOne) {
    inside.store(0);
    most_inside.store(0);
    may_leave.store(false);
    const mmu::SignalFaultSource source{SIGSEGV, &open_page_when_told, &say_nothing};
    constexpr unsigned kThreads = HandlerStacks::kStacks + 20;
    std::atomic<unsigned> overrun{0};
    run_threads(kThreads + 1, [&](unsigned index) {
        if (index == kThreads) {
            wait_until_inside(HandlerStacks::kStacks);
            EXPECT_EQ(HandlerStacks::taken(), HandlerStacks::kStacks);
            may_leave.store(true);
            may_leave.notify_all();
            return;
        }
        const ClosedPage page;
        const SmallStack stack{signal_frame_bytes() + 8};
        for (int i = 0; i < 50; ++i) {
            page.close();
            write_word(page.begin(), 1);
        }
        overrun += stack.overrun_bytes() != 0;
    });
    EXPECT_EQ(overrun.load(), 0U);
    EXPECT_LE(most_inside.load(), HandlerStacks::kStacks);
}

TEST_F(HandlerStacksTest, ChildOfForkHasTheStacksOfTheParentsThreads) {
    inside.store(0);
    may_leave.store(false);
    std::optional<mmu::SignalFaultSource> source{std::in_place, SIGSEGV, &open_page_when_told, &say_nothing};
    run_threads(HandlerStacks::kStacks + 1, [&](unsigned index) {
        const ClosedPage page;
        const SmallStack stack{signal_frame_bytes() + 8};
        if (index < HandlerStacks::kStacks) {
            write_word(page.begin(), 1);
            return;
        }
        wait_until_inside(HandlerStacks::kStacks);
        const ChildEnd end = in_child([&] {
            HandlerStacks::forget_other_threads();
            may_leave.store(true);
            write_word(page.begin(), 1);
            return HandlerStacks::taken() == 0 && stack.overrun_bytes() == 0 ? 0 : 1;
        });
        EXPECT_TRUE(end.exited_with(0)) << end;
        may_leave.store(true);
        may_leave.notify_all();
    });
}

// ---- Debuggers, profilers, exceptions

std::array<void*, 64> trace;
std::atomic<int> trace_length{0};
void* touchers_caller = nullptr;

FaultOutcome open_page_and_look_back(const core::PageFault& fault) noexcept {
    trace_length.store(::backtrace(trace.data(), static_cast<int>(trace.size())));
    return open_page(fault);
}

[[gnu::noinline]] void touch_and_note_caller(std::byte* at) {
    touchers_caller = __builtin_return_address(0);
    write_word(at, 1);
}

TEST_F(HandlerStacksTest, UnwindingFromTheResolverReachesTheFaultingFunction) {
    const mmu::SignalFaultSource source{SIGSEGV, &open_page_and_look_back, &say_nothing};
    const ClosedPage page;
    const SmallStack stack{least_stack_bytes()};
    ::backtrace(trace.data(), static_cast<int>(trace.size()));  // loads the unwinder
    trace.fill(nullptr);
    touch_and_note_caller(page.begin());
    EXPECT_GT(trace_length.load(), 0);
    EXPECT_NE(std::find(trace.begin(), trace.end(), touchers_caller), trace.end());
}

}  // namespace
}  // namespace faultline::test
