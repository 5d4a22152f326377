// Blocks every signal on the calling thread while in scope. Control calls hold it where they take the fault path's
// locks or own a page: a signal handler of the program that faulted on the same thread would wait for itself.
// Do not make or join a thread in such a scope: a thread in setuid holds the lock of the C library that this takes, and
// waits for the signal that is blocked.
#pragma once

#include "core/signal_safe.hpp"
#include "sys/syscall.hpp"

#include <csignal>
#include <cstdint>

namespace faultline::sys {

/// The signals that the C library keeps for itself. By one of them (33 in glibc) setuid(2) and its kin change the ids
/// of every thread, and wait until each thread has handled it: a thread that blocks it for long hangs the program.
inline std::uint64_t libc_signals() noexcept {
    constexpr int kFirstRealTime = 32;  // the kernel's; SIGRTMIN is the first that the C library leaves to programs
    const int count = SIGRTMIN - kFirstRealTime;
    return ((std::uint64_t{1} << count) - 1) << (kFirstRealTime - 1);
}

class SignalBlock {
public:
    SignalBlock() FAULTLINE_SIGNAL_SAFE {
        const std::uint64_t all = ~std::uint64_t{0};
        raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, syscall_argument(&all), syscall_argument(&previous_),
                    sizeof previous_);
    }
    ~SignalBlock() { raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, syscall_argument(&previous_), 0, sizeof previous_); }
    SignalBlock(const SignalBlock&) = delete;
    SignalBlock& operator=(const SignalBlock&) = delete;

private:
    std::uint64_t previous_ = 0;  // the kernel's sigset_t: 64 bits
};

}  // namespace faultline::sys
