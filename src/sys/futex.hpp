// Blocks a thread on a 32-bit word until another thread changes it. Signal-safe; private to the process. A raw
// futex(2): callers on the fault path wait with it, and FutexLock and Event build on it.
#pragma once

#include "core/signal_safe.hpp"
#include "sys/syscall.hpp"

#include <linux/futex.h>

#include <atomic>
#include <chrono>
#include <climits>
#include <cstdint>
#include <ctime>

namespace faultline::sys {

/// Sleeps while `word` holds `expected`, at most for `limit` if given. May return early (EINTR, spurious wake): the
/// caller must test the word again.
inline void futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                       const std::chrono::nanoseconds* limit = nullptr) FAULTLINE_SIGNAL_SAFE {
    timespec relative{};
    if (limit != nullptr) {
        relative.tv_sec = static_cast<time_t>(limit->count() / 1'000'000'000);
        relative.tv_nsec = static_cast<long>(limit->count() % 1'000'000'000);
    }
    raw_syscall(SYS_futex, syscall_argument(&word), FUTEX_WAIT_PRIVATE, expected,
                limit == nullptr ? 0 : syscall_argument(&relative), 0, 0);
}

/// Sleeps until `word` holds another value than `value`. The thread that changes the word must wake its sleepers.
inline void futex_wait_while(const std::atomic<std::uint32_t>& word, std::uint32_t value) FAULTLINE_SIGNAL_SAFE {
    while (word.load() == value) futex_wait(word, value);
}

/// Wakes up to `threads` threads that sleep on `word`. Returns false if a seccomp filter refuses the call.
inline bool futex_wake(const std::atomic<std::uint32_t>& word, int threads = INT_MAX) FAULTLINE_SIGNAL_SAFE {
    return raw_syscall(SYS_futex, syscall_argument(&word), FUTEX_WAKE_PRIVATE, threads, 0, 0, 0) >= 0;
}

}  // namespace faultline::sys
