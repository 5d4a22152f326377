// Event: sleeping until a condition on other atomics holds, for conditions that are rarely waited for. Whoever makes it
// true calls notify(), which costs an addition when nobody sleeps. Signal-safe.
#pragma once

#include "core/signal_safe.hpp"
#include "sys/futex.hpp"

#include <atomic>
#include <cstdint>

namespace faultline::sys {

class Event {
public:
    /// After what the sleepers look at has changed. Both are sequentially consistent, so that either the sleeper sees
    /// the change or this sees the sleeper.
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
    std::atomic<std::uint32_t> epoch_{0};
    std::atomic<std::uint32_t> sleepers_{0};
};

}  // namespace faultline::sys
