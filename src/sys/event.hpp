// Event: blocks a thread until a condition on other atomics holds, for conditions that are rarely waited for. A thread
// that makes the condition true calls notify(), which costs one addition while no thread sleeps. It holds no state of
// the condition. SlotPool and CompressedPool use it. Signal-safe.
#pragma once

#include "core/signal_safe.hpp"
#include "sys/futex.hpp"

#include <atomic>
#include <cstdint>

namespace faultline::sys {

class Event {
public:
    /// Wakes the sleepers. Call after the state that they test has changed. Both atomics are sequentially consistent:
    /// either the sleeper sees the change, or notify() sees the sleeper.
    void notify() FAULTLINE_SIGNAL_SAFE {
        epoch_.fetch_add(1);
        if (sleepers_.load() > 0) futex_wake(epoch_);
    }

    template <typename Condition>
    void wait_until(Condition condition) FAULTLINE_SIGNAL_SAFE {
        if (condition()) return;
        sleepers_.fetch_add(1);
        for (;;) {
            const std::uint32_t epoch = epoch_.load();
            if (condition()) break;
            futex_wait(epoch_, epoch);
        }
        sleepers_.fetch_sub(1);
    }

private:
    std::atomic<std::uint32_t> epoch_{0};     // futex: number of notifications
    std::atomic<std::uint32_t> sleepers_{0};  // threads in wait_until that found the condition false
};

}  // namespace faultline::sys
