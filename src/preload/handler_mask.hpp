// HandlerMask: blocks the signals that the handler of calls blocks (kHandlerMask), for a function that does its work
// outside of the handler.
#pragma once

#include "preload/calls.hpp"
#include "sys/syscall.hpp"

#include <csignal>
#include <cstdint>

namespace faultline::preload {

class HandlerMask {
public:
    HandlerMask() noexcept {
        sys::raw_syscall(SYS_rt_sigprocmask, SIG_BLOCK, sys::syscall_argument(&kHandlerMask),
                         sys::syscall_argument(&before_), sizeof before_);
    }
    ~HandlerMask() {
        sys::raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, sys::syscall_argument(&before_), 0, sizeof before_);
    }
    HandlerMask(const HandlerMask&) = delete;
    HandlerMask& operator=(const HandlerMask&) = delete;

    /// Returns the mask of the program.
    [[nodiscard]] std::uint64_t before() const noexcept { return before_; }

private:
    std::uint64_t before_ = 0;
};

}  // namespace faultline::preload
