// Blocks every signal on the calling thread while in scope. Control calls hold it where they take the fault path's
// locks or own a page: a signal handler of the program that faulted on the same thread would wait for itself.
#pragma once

#include "core/signal_safe.hpp"
#include "sys/syscall.hpp"

#include <csignal>
#include <cstdint>

namespace faultline::sys {

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
