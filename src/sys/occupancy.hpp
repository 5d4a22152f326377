// Occupancy: counts the threads in a section, so that one thread can wait until the section is empty. It keeps no
// thread out: the owner first sees to it that no further thread has a reason to enter. The segments and tables of the
// compressed pool have such sections. Signal-safe.
#pragma once

#include "core/signal_safe.hpp"
#include "sys/futex.hpp"

#include <atomic>
#include <cstdint>

namespace faultline::sys {

/// Zero bytes are an empty section. Sequentially consistent: a thread that enters and then finds the section's object
/// is seen by a thread that has hidden the object and then waits.
class Occupancy {
public:
    void enter() FAULTLINE_SIGNAL_SAFE { count_.fetch_add(1); }
    void leave() FAULTLINE_SIGNAL_SAFE {
        if (count_.fetch_sub(1) == (kAwaited | 1U)) futex_wake(count_);
    }
    /// Blocks until the count is 0. One caller at a time. Threads that enter meanwhile prolong the wait.
    void wait_until_none() FAULTLINE_SIGNAL_SAFE {
        if (count_.load() == 0) return;
        std::uint32_t seen = count_.fetch_or(kAwaited) | kAwaited;
        while (seen != kAwaited) {
            futex_wait(count_, seen);
            seen = count_.load();
        }
        count_.fetch_and(~kAwaited);
    }

private:
    static constexpr std::uint32_t kAwaited = std::uint32_t{1} << 31;
    std::atomic<std::uint32_t> count_{0};  // futex; the highest bit: a thread waits
};

}  // namespace faultline::sys
