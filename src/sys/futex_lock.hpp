// A small mutual exclusion lock for the fault path (Drepper, "Futexes Are Tricky", mutex 3): compare-exchange when
// free, futex when not. Signal-safe as long as every holder keeps signals blocked, so that no handler on the same
// thread can want the lock its thread holds. Who is never called by handlers may
// do without that. Critical sections are short and make no system call.
#pragma once

#include "core/signal_safe.hpp"
#include "sys/futex.hpp"

#include <atomic>
#include <cstdint>

namespace faultline::sys {

class FutexLock {
public:
    void lock() FAULTLINE_SIGNAL_SAFE {
        for (int spin = 0; spin < 64; ++spin) {
            std::uint32_t free = 0;
            if (word_.compare_exchange_weak(free, 1, std::memory_order_acquire, std::memory_order_relaxed)) return;
            __builtin_ia32_pause();
        }
        while (word_.exchange(2, std::memory_order_acquire) != 0) futex_wait(word_, 2);
    }
    void unlock() FAULTLINE_SIGNAL_SAFE {
        if (word_.exchange(0, std::memory_order_release) == 2) futex_wake(word_, 1);
    }

private:
    std::atomic<std::uint32_t> word_{0};  // 0 free, 1 held, 2 held and somebody may sleep
};

}  // namespace faultline::sys
