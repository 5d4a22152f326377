// Arithmetic on faultline's statistics: what one phase of a run counted, and the current rates.
#pragma once

#include <faultline/latency_histogram.hpp>
#include <faultline/stats.hpp>

#include <chrono>
#include <cstdint>
#include <deque>

namespace faultline::demo {

/// Returns the number of faults of all kinds.
[[nodiscard]] std::uint64_t total_faults(const RegionStats& stats) noexcept;

/// Returns what a pager counted between two samples. Fields that describe the current state are `later`'s.
[[nodiscard]] PagerStats difference(const PagerStats& later, const PagerStats& earlier);

/// Rates over about the last second, for live lines. Used by one thread.
class RateWindow {
public:
    using Clock = std::chrono::steady_clock;

    /// Events or bytes per second.
    struct Rates {
        double faults = 0;
        double evictions = 0;
        double bytes_read = 0;
        double bytes_written = 0;
    };

    /// Adds a sample, and returns the rates since the oldest sample kept.
    Rates update(const RegionStats& stats, Clock::time_point now = Clock::now());

private:
    struct Sample {
        Clock::time_point time;
        Rates totals;
    };

    std::deque<Sample> samples_;
};

}  // namespace faultline::demo
