// Tests the return from the fault handler, in user space and through the kernel: the interrupted code must not notice
// it, and a signal that is delivered during the return must find a state that unwinders understand.

#include "mmu/user_return.hpp"
#include "mmu/closed_page.hpp"
#include "mmu/register_probe.hpp"
#include "mmu/signal_fault_source.hpp"
#include "support/sanitizers.hpp"
#include "traps/trap_support.hpp"

#include <faultline/alternate_stack.hpp>

#include <setjmp.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <unwind.h>

#include <atomic>
#include <csignal>
#include <cstring>
#include <memory>
#include <optional>

namespace faultline::test {
namespace {

constexpr const char* kCalledBySanitizer =
    "ThreadSanitizer's handler calls ours with a copy of the context, and delays other signals";

enum class Way { user_space, kernel };

std::uint64_t mask_now() {
    sigset_t set;
    ::pthread_sigmask(SIG_BLOCK, nullptr, &set);
    std::uint64_t mask = 0;
    std::memcpy(&mask, &set, sizeof mask);
    return mask;
}

core::FaultOutcome open_touched_page(const core::PageFault& fault) noexcept {
    open_page_at(fault.address);
    return core::FaultOutcome::resolved;
}

/// Resolves the fault, and makes a signal pending that is delivered as soon as the mask is restored.
core::FaultOutcome open_and_send_signal(const core::PageFault& fault) noexcept {
    open_page_at(fault.address);
    ::syscall(SYS_tgkill, ::getpid(), ::gettid(), SIGUSR1);
    return core::FaultOutcome::resolved;
}

core::ViolationReport report_nothing(const core::PageFault&) noexcept { return {}; }

thread_local const RegisterProbe* probe_in_progress = nullptr;

/// Runs a probe with new random registers, whose touch faults.
std::unique_ptr<RegisterProbe> probe_fault(Random& random, const ClosedPage& page) {
    auto probe = std::make_unique<RegisterProbe>(random, page.begin() + random.below(kBasePageBytes));
    probe_in_progress = probe.get();
    page.close();
    probe->run();
    return probe;
}

class UserReturnTest : public TrapTest, public testing::WithParamInterface<Way> {
protected:
    UserReturnTest() {
        if (GetParam() == Way::kernel) kernel_.emplace();
    }
    [[nodiscard]] static bool in_user_space() { return GetParam() == Way::user_space; }
    void SetUp() override {
        if (kThreadSanitized) GTEST_SKIP() << kCalledBySanitizer;
        if (const char* const obstacle = mmu::user_return_obstacle(); obstacle != nullptr && in_user_space()) {
            GTEST_SKIP() << obstacle;
        }
    }

private:
    std::optional<mmu::KernelReturn> kernel_;
};

TEST_P(UserReturnTest, FaultsPreserveAllRegisters) {
    const mmu::SignalFaultSource source{SIGSEGV, &open_touched_page, &report_nothing};
    const ClosedPage page;
    Random random{seed()};
    for (int i = 0; i < 2000; ++i) {
        const auto probe = probe_fault(random, page);
        ASSERT_EQ(probe->differences(), "") << i;
        ASSERT_EQ(probe->returned_in_user_space(), in_user_space()) << i;
    }
}

TEST_P(UserReturnTest, FaultsPreserveTheSignalMask) {
    const mmu::SignalFaultSource source{SIGSEGV, &open_touched_page, &report_nothing};
    const ClosedPage page;
    Random random{seed()};
    run_threads(1, [&](unsigned) {
        for (int i = 0; i < 200; ++i) {
            sigset_t wanted;
            ::sigemptyset(&wanted);
            for (int signal = 1; signal <= SIGRTMAX; ++signal) {
                if (signal != SIGSEGV && random.below(2) == 0) ::sigaddset(&wanted, signal);
            }
            ::pthread_sigmask(SIG_SETMASK, &wanted, nullptr);
            const std::uint64_t before = mask_now();
            const auto probe = probe_fault(random, page);
            ASSERT_EQ(mask_now(), before);
            ASSERT_EQ(probe->returned_in_user_space(), in_user_space());
        }
    });
}

// ---- A signal that is delivered during the return

/// What a signal handler found.
struct Finding {
    std::uint64_t instruction = 0;
    std::uint64_t stack_pointer = 0;
    bool on_alternate_stack = false;
    bool probe_found = false;           // by the unwinder, at the touching instruction
    std::uint64_t wrong_registers = 0;  // bit i is set if the unwinder has found another value for register i
    int callers = 0;                    // frames above the probe's
};

constexpr int kStackPointer = 7;

_Unwind_Reason_Code look_at_frame(_Unwind_Context* frame, void* given) {
    Finding& finding = *static_cast<Finding*>(given);
    if (finding.probe_found) {
        ++finding.callers;
        return _URC_NO_REASON;
    }
    if (_Unwind_GetIP(frame) != RegisterProbe::touching_instruction()) return _URC_NO_REASON;
    finding.probe_found = true;
    for (int i = 0; i < 16; ++i) {
        const auto wanted = probe_in_progress->before().general[static_cast<std::size_t>(i)];
        const std::uint64_t found = i == kStackPointer ? _Unwind_GetCFA(frame) : _Unwind_GetGR(frame, i);
        if (found != wanted) finding.wrong_registers |= std::uint64_t{1} << i;
    }
    return _URC_NO_REASON;
}

Finding look_around(const void* context) {
    const auto& registers = static_cast<const ucontext_t*>(context)->uc_mcontext.gregs;
    Finding finding;
    finding.instruction = static_cast<std::uint64_t>(registers[REG_RIP]);
    finding.stack_pointer = static_cast<std::uint64_t>(registers[REG_RSP]);
    stack_t stack{};
    ::sigaltstack(nullptr, &stack);
    finding.on_alternate_stack = (stack.ss_flags & SS_ONSTACK) != 0;
    _Unwind_Backtrace(&look_at_frame, &finding);
    return finding;
}

void expect_program_state(const Finding& finding) {
    EXPECT_TRUE(finding.probe_found) << std::hex << finding.instruction;
    EXPECT_EQ(finding.wrong_registers, 0U) << std::hex << finding.instruction;
    EXPECT_GT(finding.callers, 2) << std::hex << finding.instruction;
    EXPECT_FALSE(finding.on_alternate_stack);
    const std::uint64_t below = probe_in_progress->stack_pointer() - finding.stack_pointer;
    EXPECT_LE(below, 208U) << "the handler's stack pointer is the program's";
}

Finding found_by_handler;
const ClosedPage* touched_by_handler = nullptr;

/// Faults itself, which must leave the interrupted return alone.
void look_and_fault(int, siginfo_t*, void* context) {
    found_by_handler = look_around(context);
    write_word(touched_by_handler->begin(), 1);
}

TEST_P(UserReturnTest, SignalDuringTheReturnFindsTheProgramsState) {
    const mmu::SignalFaultSource source{SIGSEGV, &open_and_send_signal, &report_nothing};
    const ScopedSignal looking{SIGUSR1, &look_and_fault};
    const ClosedPage page;
    const ClosedPage other;
    touched_by_handler = &other;
    Random random{seed()};
    for (int i = 0; i < 100; ++i) {
        other.close();
        const auto probe = probe_fault(random, page);
        ASSERT_EQ(probe->differences(), "");
        // The kernel restores everything before it delivers the signal.
        ASSERT_EQ(RegisterProbe::contains(found_by_handler.instruction), !in_user_space());
        expect_program_state(found_by_handler);
        ASSERT_FALSE(HasFailure());
    }
}

thread_local sigjmp_buf before_the_write;
void leave_by_jump(int, siginfo_t*, void*) { siglongjmp(before_the_write, 1); }

[[gnu::noinline]] bool write_is_left(std::byte* at) {
    if (sigsetjmp(before_the_write, 1) != 0) return true;
    write_word(at, 1);
    return false;
}

TEST_P(UserReturnTest, HandlerThatInterruptsTheReturnMayJumpOut) {
    const mmu::SignalFaultSource source{SIGSEGV, &open_and_send_signal, &report_nothing};
    const ScopedSignal leaving{SIGUSR1, &leave_by_jump};
    const ClosedPage page;
    const std::uint64_t before = mask_now();
    for (int i = 0; i < 1000; ++i) {
        page.close();
        ASSERT_TRUE(write_is_left(page.begin()));
        ASSERT_EQ(mask_now(), before);
    }
}

std::atomic<std::uint64_t> samples{0};
std::atomic<std::uint64_t> wrong_samples{0};

void take_sample(int, siginfo_t*, void* context) {
    if (look_around(context).wrong_registers != 0) wrong_samples.fetch_add(1);
    samples.fetch_add(1);
}

TEST_P(UserReturnTest, ProfilerDuringAStormOfFaultsSeesAndDamagesNothing) {
    const mmu::SignalFaultSource source{SIGSEGV, &open_touched_page, &report_nothing};
    const ScopedSignal sampling{SIGPROF, &take_sample};
    samples.store(0);
    wrong_samples.store(0);
    std::atomic<unsigned> wrong{0};
    run_threads(8, [&](unsigned index) {
        const ThreadTimer timer{SIGPROF, std::chrono::microseconds{100}};
        const ClosedPage page;
        Random random{seed() + index};
        const std::uint64_t mask = mask_now();
        for (int i = 0; i < 500 || samples.load() < 5000; ++i) {
            wrong += !probe_fault(random, page)->differences().empty();
            wrong += mask_now() != mask;
        }
    });
    EXPECT_EQ(wrong.load(), 0U);
    EXPECT_EQ(wrong_samples.load(), 0U);
}

INSTANTIATE_TEST_SUITE_P(Ways, UserReturnTest, testing::Values(Way::user_space, Way::kernel),
                         [](const auto& way) { return way.param == Way::user_space ? "user_space" : "kernel"; });

class ReturnTest : public TrapTest {};

// ---- A signal at each instruction of the return

constexpr greg_t kTrapFlag = 0x100;
std::vector<Finding> found_by_steps;  // has capacity for all: a signal handler appends to it

void step_on(int, siginfo_t*, void* context) {
    auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
    registers[REG_EFL] |= kTrapFlag;
}

void look_at_step(int, siginfo_t*, void* context) {
    auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
    const bool is_back = RegisterProbe::contains(static_cast<std::uint64_t>(registers[REG_RIP]));
    if (is_back || found_by_steps.size() == found_by_steps.capacity()) {
        registers[REG_EFL] &= ~kTrapFlag;
        return;
    }
    found_by_steps.push_back(look_around(context));
    write_word(touched_by_handler->begin(), 1);
    touched_by_handler->close();
    registers[REG_EFL] |= kTrapFlag;  // the instruction that restores the program's flags has cleared it
}

core::FaultOutcome open_and_send_once(const core::PageFault& fault) noexcept {
    open_page_at(fault.address);
    const bool by_handler =
        fault.address - reinterpret_cast<std::uintptr_t>(touched_by_handler->begin()) < kBasePageBytes;
    if (!by_handler) ::syscall(SYS_tgkill, ::getpid(), ::gettid(), SIGUSR1);
    return core::FaultOutcome::resolved;
}

TEST_F(ReturnTest, ProgramsStateIsFoundAtEachInstructionOfTheReturnInUserSpace) {
    if (mmu::user_return_obstacle() != nullptr) GTEST_SKIP() << mmu::user_return_obstacle();
    if (kThreadSanitized) GTEST_SKIP() << kCalledBySanitizer;
    const mmu::SignalFaultSource source{SIGSEGV, &open_and_send_once, &report_nothing};
    const ScopedSignal starting{SIGUSR1, &step_on};
    const ScopedSignal looking{SIGTRAP, &look_at_step};
    const ClosedPage page;
    const ClosedPage other;
    touched_by_handler = &other;
    Random random{seed()};
    found_by_steps.clear();
    found_by_steps.reserve(100);
    const auto probe = probe_fault(random, page);
    EXPECT_EQ(probe->differences(), "");
    EXPECT_GT(found_by_steps.size(), 10U);
    EXPECT_LT(found_by_steps.size(), 100U);
    for (const Finding& finding : found_by_steps) expect_program_state(finding);
}

// ---- Frames from which only the kernel returns

/// Answers of may_return_in_user_space for the frame of one fault, and for changed copies of it.
struct Answers {
    bool unchanged = false;
    bool single_steps = true;
    bool disarmed_stack = true;
    bool other_segments = true;
    bool no_vectors = true;
    bool no_extended_state = true;
    bool other_stack = true;
};
Answers answers;

template <typename Change>
bool answer_for(ucontext_t context, Change change) {
    change(context);
    return mmu::may_return_in_user_space(context);
}

bool ask_and_open(const siginfo_t& info, ucontext_t& context) noexcept {
    answers.unchanged = answer_for(context, [](ucontext_t&) {});
    answers.single_steps = answer_for(context, [](ucontext_t& c) { c.uc_mcontext.gregs[REG_EFL] |= kTrapFlag; });
    answers.disarmed_stack = answer_for(context, [](ucontext_t& c) { c.uc_stack.ss_flags |= INT32_MIN; });
    answers.other_segments = answer_for(context, [](ucontext_t& c) { c.uc_mcontext.gregs[REG_CSGSFS] ^= 0x10; });
    answers.no_vectors = answer_for(context, [](ucontext_t& c) { c.uc_mcontext.fpregs = nullptr; });
    answers.no_extended_state = answer_for(context, [](ucontext_t& c) { c.uc_flags &= ~1UL; });
    answers.other_stack = answer_for(context, [](ucontext_t& c) { c.uc_mcontext.gregs[REG_RSP] += 4096; });
    open_page_at(reinterpret_cast<std::uintptr_t>(info.si_addr));
    return true;
}

TEST_F(ReturnTest, FramesThatOnlyTheKernelUnderstandsAreLeftToIt) {
    if (kThreadSanitized) GTEST_SKIP() << kCalledBySanitizer;
    const mmu::FaultInterception interception{SIGSEGV, &ask_and_open};
    const ClosedPage page;
    write_word(page.begin(), 1);
    EXPECT_EQ(answers.unchanged, mmu::user_return_obstacle() == nullptr);
    EXPECT_FALSE(answers.single_steps);
    EXPECT_FALSE(answers.disarmed_stack);
    EXPECT_FALSE(answers.other_segments);
    EXPECT_FALSE(answers.no_vectors);
    EXPECT_FALSE(answers.no_extended_state);
    EXPECT_FALSE(answers.other_stack);
}

TEST_F(ReturnTest, InterceptedFaultReturnsThroughTheKernel) {
    const mmu::FaultInterception interception{SIGSEGV, &ask_and_open};
    const ClosedPage page;
    Random random{seed()};
    const auto probe = probe_fault(random, page);
    EXPECT_EQ(probe->differences(), "");
    EXPECT_FALSE(probe->returned_in_user_space());
}

TEST_F(ReturnTest, FaultOnAnAlternateStackReturnsThroughTheKernel) {
    const mmu::SignalFaultSource source{SIGSEGV, &open_touched_page, &report_nothing};
    const ClosedPage page;
    Random random{seed()};
    const AlternateStack stack;
    const auto probe = probe_fault(random, page);
    EXPECT_EQ(probe->differences(), "");
    EXPECT_FALSE(probe->returned_in_user_space());
}

std::vector<std::uint64_t> trapped_at;  // has capacity for all

void note_three_steps(int, siginfo_t*, void* context) {
    auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
    trapped_at.push_back(static_cast<std::uint64_t>(registers[REG_RIP]));
    if (trapped_at.size() == 3) registers[REG_EFL] &= ~kTrapFlag;
}

TEST_F(ReturnTest, ProgramThatSingleStepsItselfSeesNoStepOfTheHandler) {
    if (kThreadSanitized) GTEST_SKIP() << kCalledBySanitizer;
    const mmu::SignalFaultSource source{SIGSEGV, &open_touched_page, &report_nothing};
    const ScopedSignal stepping{SIGTRAP, &note_three_steps};
    const ClosedPage page;
    Random random{seed()};
    RegisterProbe probe{random, page.begin()};
    probe.step_from_touch();
    trapped_at.clear();
    trapped_at.reserve(3);
    probe.run();
    ASSERT_EQ(trapped_at.size(), 3U);
    for (const std::uint64_t at : trapped_at) {
        EXPECT_TRUE(RegisterProbe::contains(at)) << std::hex << at;
        EXPECT_GT(at, RegisterProbe::touching_instruction());
    }
}

}  // namespace
}  // namespace faultline::test
