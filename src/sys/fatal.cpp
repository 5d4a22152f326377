#include "core/check.hpp"
#include "sys/signal_action.hpp"
#include "sys/syscall.hpp"

#include <csignal>
#include <cstdint>
#include <cstring>

namespace faultline::core {
namespace {

void say(const char* text) noexcept { sys::raw_syscall(SYS_write, 2, sys::syscall_argument(text), std::strlen(text)); }

/// As std::abort ends a program, but by system calls of our own: where those of the C library are dispatched and the
/// signal that this happens by is blocked, as in a handler of faults, the kernel ends the program by that one instead.
[[noreturn]] void abort_here() noexcept {
    constexpr std::uint64_t kUnblocked = std::uint64_t{1} << (SIGABRT - 1) | std::uint64_t{1} << (SIGSYS - 1);
    const long pid = sys::raw_syscall(SYS_getpid);
    const long tid = sys::raw_syscall(SYS_gettid);
    sys::raw_syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, sys::syscall_argument(&kUnblocked), 0, sizeof kUnblocked);
    sys::raw_syscall(SYS_tgkill, pid, tid, SIGABRT);  // for a handler of the program's, which may not return
    const bool restored = sys::restore_default_action(SIGABRT);
    sys::raw_syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, sys::syscall_argument(&kUnblocked), 0, sizeof kUnblocked);
    if (restored) sys::raw_syscall(SYS_tgkill, pid, tid, SIGABRT);
    // A seccomp filter refuses the above. It may refuse this, too; then the kernel ends the process by SIGILL, at once
    // where that is blocked, as in a handler of faults.
    for (;;) {
        constexpr int kAborted = 128 + SIGABRT;
        sys::raw_syscall(SYS_exit_group, kAborted);
        __builtin_trap();
    }
}

}  // namespace

void fatal(const char* message, const char* file, int line) noexcept {
    char digits[12] = {};
    char* at = digits + sizeof digits - 1;
    do {
        *--at = static_cast<char>('0' + line % 10);
        line /= 10;
    } while (line > 0 && at > digits);
    say("faultline: ");
    say(message);
    say(" (");
    say(file);
    say(":");
    say(at);
    say(")\n");
    abort_here();
}

}  // namespace faultline::core
