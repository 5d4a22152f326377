// FutexLock: a small mutex for the fault path (Drepper, "Futexes Are Tricky", mutex 3): compare-exchange if free, futex
// if not. Signal-safe if every holder keeps all signals blocked, so that no handler on the same thread waits for a lock
// that its thread holds. Code that signal handlers never call may leave signals unblocked. Critical sections are short
// and make no system call, unless the lock's declaration says otherwise.
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
    std::atomic<std::uint32_t> word_{0};  // 0 free, 1 held, 2 held and a thread may sleep
};

}  // namespace faultline::sys
