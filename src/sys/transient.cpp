#include "sys/transient.hpp"

#include "sys/clock.hpp"
#include "sys/futex.hpp"
#include "sys/syscall.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>

namespace faultline::sys {
namespace {

/// One kind of error.
struct Kind {
    std::atomic<std::uint64_t> key{0};  // of call and errno, set once; 0: unused
    std::atomic<std::uint64_t> times{0};
};

constexpr std::size_t kKinds = 32;  // further kinds are counted with the last
constexpr unsigned kErrorBits = 12;

std::array<Kind, kKinds> kinds;

std::uint64_t key_of(const char* call, int error) FAULTLINE_SIGNAL_SAFE {
    return syscall_argument(call) << kErrorBits | static_cast<std::uint64_t>(error);
}

/// Returns the entry of a kind; creates it if it is new.
Kind& kind_of(std::uint64_t key) FAULTLINE_SIGNAL_SAFE {
    for (Kind& kind : kinds) {
        std::uint64_t known = kind.key.load();
        if (known == 0) kind.key.compare_exchange_strong(known, key);  // on failure `known` becomes the current key
        if (known == 0 || known == key) return kind;
    }
    return kinds.back();
}

}  // namespace

void nap(std::chrono::nanoseconds time) FAULTLINE_SIGNAL_SAFE {
    // Sleeps by a call that the fault path needs anyway: a seccomp filter of the program may forbid others.
    const std::atomic<std::uint32_t> never_changes{0};
    futex_wait(never_changes, 0, &time);
}

bool TransientWait::again(int error) FAULTLINE_SIGNAL_SAFE {
    if (!is_transient(error)) return false;
    if (out_of_memory_ == OutOfMemory::report && (error == ENOMEM || error == EBUSY)) return false;
    if (error == EINTR) return true;
    if (error == EAGAIN && eager_tries_++ < kEagerTries) return true;
    const std::chrono::nanoseconds now = monotonic_time();
    if (began_.count() == 0) began_ = now;
    if (now - began_ >= patience_) return false;
    note_transient(call_, error);
    nap(next_);
    next_ = std::min(2 * next_, kLongest);
    return true;
}

void note_transient(const char* call, int error) FAULTLINE_SIGNAL_SAFE {
    kind_of(key_of(call, error)).times.fetch_add(1, std::memory_order_relaxed);
}

TransientError take_transient() FAULTLINE_SIGNAL_SAFE {
    for (Kind& kind : kinds) {
        const std::uint64_t key = kind.key.load();
        if (key == 0) break;
        if (kind.times.load(std::memory_order_relaxed) == 0) continue;
        const std::uint64_t times = kind.times.exchange(0, std::memory_order_relaxed);
        if (times == 0) continue;
        constexpr std::uint64_t kErrorMask = (std::uint64_t{1} << kErrorBits) - 1;
        const auto* const call = reinterpret_cast<const char*>(key >> kErrorBits);  // NOLINT: as key_of packed it
        return {call, static_cast<int>(key & kErrorMask), times};
    }
    return {};
}

}  // namespace faultline::sys
