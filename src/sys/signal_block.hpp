// SignalBlock: blocks every signal on the calling thread while in scope. Control calls hold it while they take locks of
// the fault path or own a page: a signal handler of the program that faults on the same thread would wait for its own
// thread.
//
// Do not create or join a thread in such a scope. A thread in setuid holds a lock of the C library that both take, and
// waits for the signal that is blocked.
#pragma once

#include "core/signal_safe.hpp"
#include "sys/syscall.hpp"

#include <csignal>
#include <cstdint>

namespace faultline::sys {

/// Returns the signals that the C library reserves for itself. setuid(2) and related calls use one of them (33 in
/// glibc) to change the ids of every thread, and wait until each thread has handled it. A thread that blocks it for
/// long hangs the program.
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
