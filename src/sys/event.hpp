// Event: blocks threads until a condition on other atomics holds, for conditions that are rarely waited for. A thread
// that makes the condition true calls notify(), which costs one load while no thread waits. It holds no state of the
// condition. SlotPool and FrameBudget are users. Signal-safe.
#pragma once

#include "core/signal_safe.hpp"
#include "sys/futex.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>

namespace faultline::sys {

/// The waiting thread counts itself first and then tests the condition; the other thread changes the condition first
/// and then looks for waiting threads. So either the test sees the change, or notify() sees the waiting thread. The
/// atomics of the condition must be sequentially consistent, like those here.
class Event {
public:
    /// Wakes the waiting threads. Call after the condition has changed.
    void notify() FAULTLINE_SIGNAL_SAFE {
        if (watches_.load() == 0) return;
        epoch_.fetch_add(1);
        futex_wake(epoch_);
    }

    /// Waits for a notification. Construct it before testing the condition, so that no change after the test is missed.
    class Watch {
    public:
        explicit Watch(Event& event) FAULTLINE_SIGNAL_SAFE : event_{event} {
            event_.watches_.fetch_add(1);
            epoch_ = event_.epoch_.load();
        }
        ~Watch() { event_.watches_.fetch_sub(1); }
        Watch(const Watch&) = delete;
        Watch& operator=(const Watch&) = delete;

        /// Sleeps until notify() was called since the construction, at most for `limit` if it is not null. May return
        /// early: the caller tests the condition again.
        void wait(const std::chrono::nanoseconds* limit = nullptr) const FAULTLINE_SIGNAL_SAFE {
            futex_wait(event_.epoch_, epoch_, limit);
        }

    private:
        Event& event_;
        std::uint32_t epoch_ = 0;
    };

    /// Sleeps until `condition()` is true.
    template <typename Condition>
    void wait_until(Condition condition) FAULTLINE_SIGNAL_SAFE {
        while (!condition()) {
            const Watch watch{*this};
            if (condition()) return;
            watch.wait();
        }
    }

private:
    std::atomic<std::uint32_t> watches_{0};  // live Watches
    std::atomic<std::uint32_t> epoch_{0};    // futex: counts notifications while there are watches
};

}  // namespace faultline::sys
