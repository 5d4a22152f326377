// SignalAction: a signal that is not ours has the same effect as without the library. Cases that end the process run in
// a child.
#include "sys/signal_action.hpp"

#include "core/units.hpp"
#include "sys/blocked_signals.hpp"
#include "sys/mapping.hpp"
#include "sys/syscall.hpp"

#include <gtest/gtest.h>

#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csetjmp>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <system_error>
#include <thread>

namespace faultline::test {
namespace {

using sys::SignalAction;

constexpr std::uint64_t bit(int signal) { return std::uint64_t{1} << (signal - 1); }

// What the handlers saw. Global, because handlers are plain functions; each test starts by clearing it.
struct Seen {
    int calls = 0;
    int signal = 0;
    siginfo_t* ours = nullptr;
    siginfo_t* theirs = nullptr;
    siginfo_t copy{};
    void* our_context = nullptr;
    void* their_context = nullptr;
    std::uint64_t mask_in_theirs = 0;
    std::uint64_t mask_after_theirs = 0;
};
Seen seen;
SignalAction tested_action;
std::byte* closed_page = nullptr;

void in_front(int signal, siginfo_t* info, void* context) {
    seen.ours = info;
    seen.copy = *info;
    seen.our_context = context;
    if (const SignalAction::Next next = tested_action.next_for(signal, info, context); next.handler != nullptr) {
        SignalAction::call(next, signal, info, context);
    }
    seen.mask_after_theirs = blocked_signals();
}

void theirs(int signal, siginfo_t* info, void* context) {
    ++seen.calls;
    seen.signal = signal;
    seen.theirs = info;
    seen.their_context = context;
    seen.mask_in_theirs = blocked_signals();
    if (closed_page != nullptr) ::mprotect(closed_page, core::kUnitBytes, PROT_READ | PROT_WRITE);
}

void theirs_plain(int signal) {
    ++seen.calls;
    seen.signal = signal;
    seen.mask_in_theirs = blocked_signals();
}

void install_theirs(int signal, int flags, std::initializer_list<int> masked = {}) {
    struct sigaction previous {};
    if ((flags & SA_SIGINFO) != 0) {
        previous.sa_sigaction = theirs;
    } else {
        previous.sa_handler = theirs_plain;
    }
    previous.sa_flags = flags;
    for (int also : masked) sigaddset(&previous.sa_mask, also);
    ASSERT_EQ(::sigaction(signal, &previous, nullptr), 0);
}

void set_handler(int signal, void (*handler)(int)) {
    struct sigaction previous {};
    previous.sa_handler = handler;
    if (::sigaction(signal, &previous, nullptr) != 0) std::_Exit(99);
}

class SignalActionTest : public testing::Test {
protected:
    void SetUp() override {
        seen = {};
        closed_page = nullptr;
        for (std::size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], nullptr, &before_[i]);
    }
    void TearDown() override {
        for (std::size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &before_[i], nullptr);
    }

    /// A page whose first touch raises SIGSEGV.
    static sys::Mapping close_a_page() {
        sys::Mapping page = sys::Mapping::reserve(core::kUnitBytes, core::kUnitBytes, true, "a test page");
        EXPECT_EQ(sys::set_access(page.data(), page.size(), Access::none), 0);
        closed_page = page.data();
        return page;
    }

private:
    static constexpr std::array<int, 4> kSignals = {SIGSEGV, SIGBUS, SIGUSR1, SIGUSR2};
    std::array<struct sigaction, 4> before_{};
};

/// A handler runs in the middle of this: memory that it reads must be written before, memory that it writes read after.
void touch(std::byte* address) {
    std::atomic_signal_fence(std::memory_order_seq_cst);
    *static_cast<volatile std::byte*>(address) = std::byte{1};
    std::atomic_signal_fence(std::memory_order_seq_cst);
}

[[noreturn]] void fault_with_previous(void (*previous)(int)) {
    set_handler(SIGSEGV, previous);
    tested_action.install(SIGSEGV, in_front);
    const sys::Mapping page = sys::Mapping::reserve(core::kUnitBytes, core::kUnitBytes, true, "a test page");
    if (sys::set_access(page.data(), page.size(), Access::none) != 0) std::_Exit(99);
    touch(page.data());
    std::_Exit(0);
}

[[noreturn]] void fault_on_another_thread() {
    std::thread{[] { fault_with_previous(SIG_DFL); }}.join();
    std::_Exit(0);
}

/// Touches a file mapping beyond the end of the file.
[[noreturn]] void bus_error_with_previous(void (*previous)(int)) {
    set_handler(SIGBUS, previous);
    tested_action.install(SIGBUS, in_front);
    const int fd = ::memfd_create("ends", MFD_CLOEXEC);
    void* const page = ::mmap(nullptr, core::kUnitBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED) std::_Exit(99);
    touch(static_cast<std::byte*>(page));
    std::_Exit(0);
}

[[noreturn]] void send_with_previous(void (*previous)(int), int signal) {
    set_handler(signal, previous);
    tested_action.install(signal, in_front);
    ::raise(signal);
    std::_Exit(0);
}

TEST_F(SignalActionTest, ARealFaultWithTheDefaultActionEndsTheProcess) {
    EXPECT_EXIT(fault_with_previous(SIG_DFL), testing::KilledBySignal(SIGSEGV), "");
    EXPECT_EXIT(bus_error_with_previous(SIG_DFL), testing::KilledBySignal(SIGBUS), "");
}

TEST_F(SignalActionTest, ARealFaultOnAnotherThreadEndsTheProcess) {
    EXPECT_EXIT(fault_on_another_thread(), testing::KilledBySignal(SIGSEGV), "");
}

TEST_F(SignalActionTest, ARealFaultCannotBeIgnored) {
    EXPECT_EXIT(fault_with_previous(SIG_IGN), testing::KilledBySignal(SIGSEGV), "");
    EXPECT_EXIT(bus_error_with_previous(SIG_IGN), testing::KilledBySignal(SIGBUS), "");
}

TEST_F(SignalActionTest, ASentSignalWithTheDefaultActionEndsTheProcess) {
    EXPECT_EXIT(send_with_previous(SIG_DFL, SIGSEGV), testing::KilledBySignal(SIGSEGV), "");
    EXPECT_EXIT(send_with_previous(SIG_DFL, SIGBUS), testing::KilledBySignal(SIGBUS), "");
}

TEST_F(SignalActionTest, ASentSignalThatWasIgnoredIsIgnored) {
    EXPECT_EXIT(send_with_previous(SIG_IGN, SIGSEGV), testing::ExitedWithCode(0), "");
    EXPECT_EXIT(send_with_previous(SIG_IGN, SIGBUS), testing::ExitedWithCode(0), "");
}

TEST_F(SignalActionTest, ThePreviousHandlerGetsTheSameFault) {
    install_theirs(SIGSEGV, SA_SIGINFO);
    tested_action.install(SIGSEGV, in_front);
    const sys::Mapping page = close_a_page();
    touch(page.data() + 123);  // the program's handler makes the page accessible
    EXPECT_EQ(page.data()[123], std::byte{1});
    EXPECT_EQ(seen.calls, 1);
    EXPECT_EQ(seen.signal, SIGSEGV);
    EXPECT_EQ(seen.theirs, seen.ours);
    EXPECT_EQ(seen.their_context, seen.our_context);
    EXPECT_EQ(seen.copy.si_addr, page.data() + 123);
    EXPECT_EQ(seen.copy.si_code, SEGV_ACCERR);
}

TEST_F(SignalActionTest, APlainPreviousHandlerGetsTheNumber) {
    install_theirs(SIGUSR1, 0);
    tested_action.install(SIGUSR1, in_front);
    ASSERT_EQ(::raise(SIGUSR1), 0);
    EXPECT_EQ(seen.calls, 1);
    EXPECT_EQ(seen.signal, SIGUSR1);
}

/// Raises SIGUSR1 on a thread that blocks SIGHUP; the previous handler also blocks SIGUSR2.
void raise_with_masks(int flags) {
    install_theirs(SIGUSR1, flags, {SIGUSR2});
    tested_action.install(SIGUSR1, in_front);
    sigset_t hang_up;
    sigset_t before;
    sigemptyset(&hang_up);
    sigaddset(&hang_up, SIGHUP);
    ASSERT_EQ(::pthread_sigmask(SIG_BLOCK, &hang_up, &before), 0);
    const std::uint64_t interrupted = blocked_signals();
    ASSERT_EQ(::raise(SIGUSR1), 0);
    EXPECT_EQ(blocked_signals(), interrupted) << "after the handlers";
    ASSERT_EQ(::pthread_sigmask(SIG_SETMASK, &before, nullptr), 0);
    EXPECT_EQ(seen.calls, 1);
}

TEST_F(SignalActionTest, ThePreviousHandlerRunsUnderTheMaskTheKernelWouldGiveIt) {
    for (int flags : {0, SA_SIGINFO}) {
        seen = {};
        ASSERT_NO_FATAL_FAILURE(raise_with_masks(flags));
        const std::uint64_t interesting = bit(SIGUSR1) | bit(SIGUSR2) | bit(SIGHUP) | bit(SIGTERM) | bit(SIGSEGV);
        EXPECT_EQ(seen.mask_in_theirs & interesting, bit(SIGUSR1) | bit(SIGUSR2) | bit(SIGHUP));
    }
}

TEST_F(SignalActionTest, ThePreviousHandlerMayBeInterruptedByItsOwnSignalIfItAskedForThat) {
    ASSERT_NO_FATAL_FAILURE(raise_with_masks(SA_SIGINFO | SA_NODEFER));
    EXPECT_EQ(seen.mask_in_theirs & (bit(SIGUSR1) | bit(SIGUSR2)), bit(SIGUSR2));
}

TEST_F(SignalActionTest, OurHandlerGoesOnWithEverythingBlocked) {
    ASSERT_NO_FATAL_FAILURE(raise_with_masks(SA_SIGINFO));
    const std::uint64_t blockable = ~(bit(SIGKILL) | bit(SIGSTOP));
    EXPECT_EQ(seen.mask_after_theirs & blockable, blockable);
}

sigjmp_buf way_out;
void jump_out(int) { siglongjmp(way_out, 1); }

TEST_F(SignalActionTest, ThePreviousHandlerMayJumpOut) {
    set_handler(SIGSEGV, jump_out);
    tested_action.install(SIGSEGV, in_front);
    const sys::Mapping page = close_a_page();
    const std::uint64_t before = blocked_signals();
    for (int round = 0; round < 3; ++round) {
        if (sigsetjmp(way_out, 1) == 0) {
            touch(page.data());
            ADD_FAILURE() << "the page could be touched";
        }
        EXPECT_EQ(blocked_signals(), before);
    }
}

/// A crash handler like that of many programs: prints once, then restores the default action.
void speak_once(int) {
    if (++seen.calls > 1) std::_Exit(77);
}

[[noreturn]] void fault_with_a_handler_for_once() {
    struct sigaction previous {};
    previous.sa_handler = speak_once;
    previous.sa_flags = static_cast<int>(SA_RESETHAND);
    if (::sigaction(SIGSEGV, &previous, nullptr) != 0) std::_Exit(99);
    tested_action.install(SIGSEGV, in_front);
    const sys::Mapping page = sys::Mapping::reserve(core::kUnitBytes, core::kUnitBytes, true, "a test page");
    if (sys::set_access(page.data(), page.size(), Access::none) != 0) std::_Exit(99);
    touch(page.data());
    std::_Exit(0);
}

TEST_F(SignalActionTest, APreviousHandlerForOnceIsCalledOnce) {
    EXPECT_EXIT(fault_with_a_handler_for_once(), testing::KilledBySignal(SIGSEGV), "");
}

TEST_F(SignalActionTest, UninstallingPutsThePreviousHandlerBack) {
    install_theirs(SIGUSR1, SA_SIGINFO, {SIGUSR2});
    tested_action.install(SIGUSR1, in_front);
    tested_action.uninstall(SIGUSR1, in_front);
    struct sigaction now {};
    ASSERT_EQ(::sigaction(SIGUSR1, nullptr, &now), 0);
    EXPECT_EQ(now.sa_sigaction, theirs);
    EXPECT_EQ(sigismember(&now.sa_mask, SIGUSR2), 1);
}

TEST_F(SignalActionTest, UninstallingLeavesANewerHandlerAlone) {
    install_theirs(SIGUSR1, SA_SIGINFO);
    tested_action.install(SIGUSR1, in_front);
    set_handler(SIGUSR1, theirs_plain);
    tested_action.uninstall(SIGUSR1, in_front);
    struct sigaction now {};
    ASSERT_EQ(::sigaction(SIGUSR1, nullptr, &now), 0);
    EXPECT_EQ(now.sa_handler, theirs_plain);
}

TEST_F(SignalActionTest, InstallingWhereTheKernelForbidsItThrows) {
    try {
        SignalAction{}.install(SIGKILL, in_front);
        FAIL() << "SIGKILL cannot be handled";
    } catch (const std::system_error& error) {
        EXPECT_EQ(error.code().value(), EINVAL);
    }
}

}  // namespace
}  // namespace faultline::test
