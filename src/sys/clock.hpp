// The clocks of the fault path. They make the system call themselves: std::chrono::steady_clock calls
// clock_gettime(3), and a program may export a function of that name. Code outside the fault path may use
// std::chrono::steady_clock.
#pragma once

#include "core/signal_safe.hpp"
#include "sys/syscall.hpp"

#include <algorithm>
#include <chrono>
#include <ctime>

namespace faultline::sys {

/// Returns the time since the machine started. A call takes 0.1 to 0.2 us.
inline std::chrono::nanoseconds monotonic_time() FAULTLINE_SIGNAL_SAFE {
    timespec now{};
    raw_syscall(SYS_clock_gettime, CLOCK_MONOTONIC, syscall_argument(&now));
    return std::chrono::seconds{now.tv_sec} + std::chrono::nanoseconds{now.tv_nsec};
}

/// Returns the CPU time of the calling thread. A call takes 0.2 to 0.4 us.
inline std::chrono::nanoseconds thread_cpu_time() FAULTLINE_SIGNAL_SAFE {
    timespec now{};
    raw_syscall(SYS_clock_gettime, CLOCK_THREAD_CPUTIME_ID, syscall_argument(&now));
    return std::chrono::seconds{now.tv_sec} + std::chrono::nanoseconds{now.tv_nsec};
}

/// Measures how long the thread that constructed it waits: for a device, for another thread, or for its CPU.
class ThreadClock {
public:
    ThreadClock() FAULTLINE_SIGNAL_SAFE : began_{monotonic_time()}, cpu_began_{thread_cpu_time()} {}

    /// Returns for how long the thread has not run since the construction.
    [[nodiscard]] std::chrono::nanoseconds waited() const FAULTLINE_SIGNAL_SAFE {
        const std::chrono::nanoseconds ran = thread_cpu_time() - cpu_began_;
        return std::max(monotonic_time() - began_ - ran, std::chrono::nanoseconds{0});
    }

private:
    std::chrono::nanoseconds began_;
    std::chrono::nanoseconds cpu_began_;
};

}  // namespace faultline::sys
