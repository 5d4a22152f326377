// Arithmetic on faultline's statistics: what one phase of a run added, and how fast the counters move right now.
#pragma once

#include <faultline/latency_histogram.hpp>
#include <faultline/stats.hpp>

#include <chrono>
#include <cstdint>
#include <deque>

namespace faultline::demo {

/// Faults of every kind.
[[nodiscard]] std::uint64_t total_faults(const RegionStats& stats) noexcept;

/// The durations that `later` counted and `earlier`, a copy of the same histogram, had not yet.
[[nodiscard]] LatencyHistogram difference(const LatencyHistogram& later, const LatencyHistogram& earlier);

/// What was counted between two looks at a pager. The fields that say how things are now are `later`'s.
[[nodiscard]] PagerStats difference(const PagerStats& later, const PagerStats& earlier);

/// Rates over about the last second, for live lines. Used by one thread.
class RateWindow {
public:
    using Clock = std::chrono::steady_clock;

    /// In events or bytes per second.
    struct Rates {
        double faults = 0;
        double evictions = 0;
        double bytes_read = 0;
        double bytes_written = 0;
    };

    /// Takes a look's figures in and says how fast they moved since the oldest one kept.
    Rates update(const RegionStats& stats, Clock::time_point now = Clock::now());

private:
    struct Sample {
        Clock::time_point time;
        Rates totals;
    };

    std::deque<Sample> samples_;
};

}  // namespace faultline::demo
