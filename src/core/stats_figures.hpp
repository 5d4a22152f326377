// The figures of the public statistics RegionStats, PagerStats and HeapStats, and differences of latency histograms.
#pragma once

#include "core/figures.hpp"

#include <faultline/heap.hpp>
#include <faultline/stats.hpp>

#include <array>
#include <vector>

namespace faultline::core {

template <>
struct Figures<RegionStats> {
    static constexpr std::array table{
        FAULTLINE_COUNTER(RegionStats, first_touches),   FAULTLINE_COUNTER(RegionStats, hard_faults),
        FAULTLINE_COUNTER(RegionStats, soft_faults),     FAULTLINE_COUNTER(RegionStats, write_faults),
        FAULTLINE_COUNTER(RegionStats, failed_faults),   FAULTLINE_COUNTER(RegionStats, evictions),
        FAULTLINE_COUNTER(RegionStats, clean_evictions), FAULTLINE_COUNTER(RegionStats, pages_read_ahead),
        FAULTLINE_COUNTER(RegionStats, bytes_read),      FAULTLINE_COUNTER(RegionStats, bytes_written),
        FAULTLINE_COUNTER(RegionStats, read_errors),     FAULTLINE_COUNTER(RegionStats, write_errors),
        FAULTLINE_GAUGE(RegionStats, resident_bytes),    FAULTLINE_GAUGE(RegionStats, dirty_bytes),
        FAULTLINE_GAUGE(RegionStats, staged_bytes),      FAULTLINE_GAUGE(RegionStats, swapped_bytes),
        FAULTLINE_GAUGE(RegionStats, pinned_bytes),
    };
};
FAULTLINE_CHECK_FIGURES(RegionStats, 0);

/// The latencies of PagerStats.
inline constexpr std::array kPagerLatencies{&PagerStats::first_touch_latency, &PagerStats::hard_latency,
                                            &PagerStats::soft_latency, &PagerStats::write_latency};

/// Those of RegionStats, and the pager's own.
template <>
struct Figures<PagerStats> {
    static constexpr auto table = [] {
        constexpr std::array kOwn{
            FAULTLINE_GAUGE(PagerStats, resident_limit),   FAULTLINE_GAUGE(PagerStats, frames_used),
            FAULTLINE_GAUGE(PagerStats, frames_peak),      FAULTLINE_GAUGE(PagerStats, compressed_used),
            FAULTLINE_GAUGE(PagerStats, compressed_limit), FAULTLINE_GAUGE(PagerStats, records_used),
            FAULTLINE_GAUGE(PagerStats, memory_limit),     FAULTLINE_COUNTER(PagerStats, direct_reclaims),
        };
        std::array<Figure<PagerStats>, Figures<RegionStats>::table.size() + kOwn.size()> all{};
        std::size_t count = 0;
        for (const Figure<RegionStats>& figure : Figures<RegionStats>::table) {
            all[count++] = {figure.name, figure.member, figure.kind};
        }
        for (const Figure<PagerStats>& figure : kOwn) all[count++] = figure;
        return all;
    }();
};
FAULTLINE_CHECK_FIGURES(PagerStats, kPagerLatencies.size() * sizeof(LatencyHistogram));

template <>
struct Figures<HeapStats> {
    static constexpr std::array table{
        FAULTLINE_GAUGE(HeapStats, live_bytes),         FAULTLINE_GAUGE(HeapStats, live_blocks),
        FAULTLINE_GAUGE(HeapStats, large_blocks),       FAULTLINE_GAUGE(HeapStats, large_bytes),
        FAULTLINE_GAUGE(HeapStats, cached_bytes),       FAULTLINE_GAUGE(HeapStats, free_in_spans),
        FAULTLINE_GAUGE(HeapStats, free_outside_spans), FAULTLINE_GAUGE(HeapStats, reserved_to_grow),
        FAULTLINE_GAUGE(HeapStats, dead_bytes),         FAULTLINE_GAUGE(HeapStats, break_bytes),
        FAULTLINE_GAUGE(HeapStats, mapping_bytes),      FAULTLINE_COUNTER(HeapStats, discarded_bytes),
    };
};
FAULTLINE_CHECK_FIGURES(HeapStats, sizeof(RegionStats) + sizeof(std::vector<SizeClassStats>));

/// Returns the durations that `later` counted after `earlier`, an older copy of the same histogram.
[[nodiscard]] LatencyHistogram latencies_since(const LatencyHistogram& later, const LatencyHistogram& earlier) noexcept;

/// Subtracts from the latencies in `later` what `earlier` had counted. Signal-safe.
void subtract_latencies(PagerStats& later, const PagerStats& earlier) noexcept;

}  // namespace faultline::core
