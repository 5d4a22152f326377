// RunningMedian: an estimate of the typical duration of something that is measured again and again. Each value moves
// the estimate by a sixteenth of itself at most, however far away the value is: a thread that lost its CPU meanwhile,
// or a busy disk, says little.
#pragma once

#include "core/signal_safe.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>

namespace faultline::core {

/// Lock-free and signal-safe. Updates are relaxed and may race: a lost one counts for little.
class RunningMedian {
public:
    /// `least`: the estimate never falls below it. Greater than 0.
    constexpr RunningMedian(std::chrono::nanoseconds start, std::chrono::nanoseconds least) noexcept
        : least_{least.count()}, nanoseconds_{start.count()} {}

    [[nodiscard]] std::chrono::nanoseconds get() const FAULTLINE_SIGNAL_SAFE {
        return std::chrono::nanoseconds{nanoseconds_.load(std::memory_order_relaxed)};
    }

    /// Returns the new estimate.
    std::chrono::nanoseconds record(std::chrono::nanoseconds value) FAULTLINE_SIGNAL_SAFE {
        const std::int64_t known = nanoseconds_.load(std::memory_order_relaxed);
        const std::int64_t step = known / 16;
        const std::int64_t next = std::max(known + std::clamp(value.count() - known, -step, step), least_);
        nanoseconds_.store(next, std::memory_order_relaxed);
        return std::chrono::nanoseconds{next};
    }

private:
    const std::int64_t least_;
    std::atomic<std::int64_t> nanoseconds_;
};

}  // namespace faultline::core
