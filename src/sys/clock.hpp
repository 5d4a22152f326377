// The monotonic clock for the fault path. It makes the system call itself: std::chrono::steady_clock calls
// clock_gettime(3), and a program may export a function of that name. Code outside the fault path may use
// std::chrono::steady_clock.
#pragma once

#include "core/signal_safe.hpp"
#include "sys/syscall.hpp"

#include <chrono>
#include <ctime>

namespace faultline::sys {

/// Returns the time since the machine started. A call takes 0.1 to 0.2 us.
inline std::chrono::nanoseconds monotonic_time() FAULTLINE_SIGNAL_SAFE {
    timespec now{};
    raw_syscall(SYS_clock_gettime, CLOCK_MONOTONIC, syscall_argument(&now));
    return std::chrono::seconds{now.tv_sec} + std::chrono::nanoseconds{now.tv_nsec};
}

}  // namespace faultline::sys
