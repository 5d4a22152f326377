// ThrashWatch: finds out that a program spends much of its time waiting for pages, and how much memory would change
// that. PageFill records hard faults; the housekeeper looks about once a minute, and the pager says it once.
#pragma once

#include "core/signal_safe.hpp"
#include "core/units.hpp"
#include "pager/frame/miss_histogram.hpp"

#include <faultline/latency_histogram.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace faultline::pager {

/// What a ThrashWatch has found.
struct Thrashing {
    std::chrono::nanoseconds over{};  ///< The time it was watched.
    std::chrono::nanoseconds lost{};  ///< Of it, the time in hard faults; of several threads, the sum.
    std::uint64_t faults = 0;
    /// The additional memory in bytes with which nine of ten of these faults would not have happened.
    std::uint64_t wanted_bytes = 0;
};

class ThrashWatch {
public:
    static constexpr std::chrono::nanoseconds kWindow = std::chrono::minutes{1};

    /// `now`: of the monotonic clock.
    explicit ThrashWatch(std::chrono::nanoseconds now, std::chrono::nanoseconds window = kWindow) noexcept
        : window_{window}, began_{now} {}

    /// Counts a hard fault on a page that left `evictions` ago. Returns true, once in some hundred faults, if `look`
    /// may be due. Signal-safe; relaxed.
    [[nodiscard]] bool record(std::uint64_t evictions) FAULTLINE_SIGNAL_SAFE {
        faults_at_[MissBuckets::of(evictions)].fetch_add(1, std::memory_order_relaxed);
        return faults_.fetch_add(1, std::memory_order_relaxed) % kFaultsPerLook == kFaultsPerLook - 1;
    }

    /// Returns true if a window is over, and `look` should be called. Signal-safe.
    [[nodiscard]] bool is_due(std::chrono::nanoseconds now) const FAULTLINE_SIGNAL_SAFE {
        return !said_.load(std::memory_order_relaxed) && now - began_.load(std::memory_order_relaxed) >= window_;
    }

    /// Ends the window. `hard`: the durations of all hard faults so far. `evictions`: so far. `frames`: the limit in
    /// units of 4 KiB. Returns what to say, once in the life of this object. One thread at a time.
    [[nodiscard]] std::optional<Thrashing> look(std::chrono::nanoseconds now, const LatencyHistogram& hard,
                                                std::uint64_t evictions, std::uint64_t frames) noexcept;

private:
    static constexpr std::uint64_t kFaultsPerLook = 512;

    [[nodiscard]] MissCounts taken() noexcept;

    std::array<std::atomic<std::uint32_t>, MissBuckets::kCount> faults_at_{};  // by distance
    std::atomic<std::uint64_t> faults_{0};

    // Written by the thread that looks.
    const std::chrono::nanoseconds window_;
    std::atomic<std::chrono::nanoseconds> began_;
    std::atomic<bool> said_{false};
    std::chrono::nanoseconds lost_before_{};
    std::uint64_t evictions_before_ = 0;
};

}  // namespace faultline::pager
