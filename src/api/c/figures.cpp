#include "api/c/figures.hpp"

#include "api/c/sized_struct.hpp"
#include "core/stats_figures.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace faultline::core {

template <>
struct Figures<faultline_stats> {
    static constexpr std::array table{
        FAULTLINE_COUNTER(faultline_stats, first_touches),   FAULTLINE_COUNTER(faultline_stats, hard_faults),
        FAULTLINE_COUNTER(faultline_stats, soft_faults),     FAULTLINE_COUNTER(faultline_stats, write_faults),
        FAULTLINE_COUNTER(faultline_stats, failed_faults),   FAULTLINE_COUNTER(faultline_stats, evictions),
        FAULTLINE_COUNTER(faultline_stats, clean_evictions), FAULTLINE_COUNTER(faultline_stats, pages_read_ahead),
        FAULTLINE_COUNTER(faultline_stats, bytes_read),      FAULTLINE_COUNTER(faultline_stats, bytes_written),
        FAULTLINE_COUNTER(faultline_stats, read_errors),     FAULTLINE_COUNTER(faultline_stats, write_errors),
        FAULTLINE_GAUGE(faultline_stats, resident_bytes),    FAULTLINE_GAUGE(faultline_stats, dirty_bytes),
        FAULTLINE_GAUGE(faultline_stats, staged_bytes),      FAULTLINE_GAUGE(faultline_stats, swapped_bytes),
        FAULTLINE_GAUGE(faultline_stats, pinned_bytes),
    };
};
FAULTLINE_CHECK_FIGURES(faultline_stats, sizeof(std::size_t));
static_assert(Figures<faultline_stats>::table.size() == Figures<RegionStats>::table.size());

template <>
struct Figures<faultline_pager_stats> {
    static constexpr std::array table{
        FAULTLINE_GAUGE(faultline_pager_stats, resident_limit),
        FAULTLINE_GAUGE(faultline_pager_stats, frames_used),
        FAULTLINE_GAUGE(faultline_pager_stats, frames_peak),
        FAULTLINE_GAUGE(faultline_pager_stats, compressed_used),
        FAULTLINE_COUNTER(faultline_pager_stats, direct_reclaims),
        FAULTLINE_GAUGE(faultline_pager_stats, compressed_limit),
        FAULTLINE_GAUGE(faultline_pager_stats, records_used),
        FAULTLINE_GAUGE(faultline_pager_stats, memory_limit),
    };
};
FAULTLINE_CHECK_FIGURES(faultline_pager_stats,
                        sizeof(std::size_t) + kPagerLatencies.size() * sizeof(faultline_latency));
static_assert(Figures<faultline_pager_stats>::table.size() + Figures<RegionStats>::table.size() ==
              Figures<PagerStats>::table.size());

template <>
struct Figures<faultline_heap_stats> {
    static constexpr std::array table{
        FAULTLINE_GAUGE(faultline_heap_stats, live_bytes),
        FAULTLINE_GAUGE(faultline_heap_stats, live_blocks),
        FAULTLINE_GAUGE(faultline_heap_stats, large_blocks),
        FAULTLINE_GAUGE(faultline_heap_stats, large_bytes),
        FAULTLINE_GAUGE(faultline_heap_stats, cached_bytes),
        FAULTLINE_GAUGE(faultline_heap_stats, free_in_spans),
        FAULTLINE_GAUGE(faultline_heap_stats, free_outside_spans),
        FAULTLINE_GAUGE(faultline_heap_stats, reserved_to_grow),
        FAULTLINE_GAUGE(faultline_heap_stats, dead_bytes),
        FAULTLINE_GAUGE(faultline_heap_stats, break_bytes),
        FAULTLINE_GAUGE(faultline_heap_stats, mapping_bytes),
        FAULTLINE_COUNTER(faultline_heap_stats, discarded_bytes),
    };
};
FAULTLINE_CHECK_FIGURES(faultline_heap_stats, sizeof(std::size_t));
static_assert(Figures<faultline_heap_stats>::table.size() == Figures<HeapStats>::table.size());

}  // namespace faultline::core

namespace faultline::api {
namespace {

faultline_latency quantiles(const LatencyHistogram& durations) {
    return {durations.count(), durations.quantile(0.5), durations.quantile(0.9), durations.quantile(0.99),
            durations.quantile(0.999)};
}

/// The counterparts of core::kPagerLatencies.
constexpr std::array kLatencies{&faultline_pager_stats::first_touch_latency, &faultline_pager_stats::hard_latency,
                                &faultline_pager_stats::soft_latency, &faultline_pager_stats::write_latency};
static_assert(kLatencies.size() == core::kPagerLatencies.size());

}  // namespace

void write_stats(faultline_stats& to, const RegionStats& from) {
    faultline_stats filled{};
    core::copy_all_figures(filled, from);
    write_sized(to, filled, FAULTLINE_SIZED(faultline_stats, pinned_bytes));
}

void write_stats(faultline_pager_stats& to, const PagerStats& from) {
    faultline_pager_stats filled{};
    core::copy_all_figures(filled, from);
    for (std::size_t i = 0; i < kLatencies.size(); ++i)
        filled.*kLatencies[i] = quantiles(from.*core::kPagerLatencies[i]);
    write_sized(to, filled, FAULTLINE_SIZED(faultline_pager_stats, write_latency));
}

void write_stats(faultline_heap_stats& to, const HeapStats& from) {
    faultline_heap_stats filled{};
    core::copy_all_figures(filled, from);
    write_sized(to, filled, FAULTLINE_SIZED(faultline_heap_stats, discarded_bytes));
}

}  // namespace faultline::api
