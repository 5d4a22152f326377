#include "core/check.hpp"
#include "sys/fixed_text.hpp"
#include "sys/signal_action.hpp"
#include "sys/syscall.hpp"

#include <csignal>
#include <cstdint>
#include <cstring>

namespace faultline::core {
namespace {

void write_text(const char* text) noexcept {
    sys::raw_syscall(SYS_write, 2, sys::syscall_argument(text), std::strlen(text));
}

/// Ends the program like std::abort, but with raw system calls. If the C library's calls are dispatched by SIGSYS
/// (syscall user dispatch) and SIGSYS is blocked, as in a fault handler, the kernel would end the program by SIGSYS
/// instead.
[[noreturn]] void abort_here() noexcept {
    constexpr std::uint64_t kUnblocked = std::uint64_t{1} << (SIGABRT - 1) | std::uint64_t{1} << (SIGSYS - 1);
    const long pid = sys::raw_syscall(SYS_getpid);
    const long tid = sys::raw_syscall(SYS_gettid);
    sys::raw_syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, sys::syscall_argument(&kUnblocked), 0, sizeof kUnblocked);
    sys::raw_syscall(SYS_tgkill, pid, tid, SIGABRT);  // for a handler of the program, which may not return
    const bool restored = sys::restore_default_action(SIGABRT);
    sys::raw_syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, sys::syscall_argument(&kUnblocked), 0, sizeof kUnblocked);
    if (restored) sys::raw_syscall(SYS_tgkill, pid, tid, SIGABRT);
    // Reached only if a seccomp filter refuses the calls above. It may refuse this one, too; then the kernel ends the
    // process by SIGILL, even where SIGILL is blocked, as in a fault handler.
    for (;;) {
        constexpr int kAborted = 128 + SIGABRT;
        sys::raw_syscall(SYS_exit_group, kAborted);
        __builtin_trap();
    }
}

}  // namespace

void fatal(const char* message, const char* file, int line) noexcept {
    write_text("faultline: ");
    write_text(message);
    sys::FixedText<256> place;
    ((place << " (" << file << ":").decimal(static_cast<std::uint64_t>(line)) << ")\n").write_to_standard_error();
    abort_here();
}

}  // namespace faultline::core
