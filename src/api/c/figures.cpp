#include "api/c/figures.hpp"

#include "api/c/sized_struct.hpp"

namespace faultline::api {
namespace {

faultline_latency quantiles(const LatencyHistogram& durations) {
    return {durations.count(), durations.quantile(0.5), durations.quantile(0.9), durations.quantile(0.99),
            durations.quantile(0.999)};
}

}  // namespace

void write_stats(faultline_stats& to, const RegionStats& from) {
    faultline_stats filled{};
    filled.first_touches = from.first_touches;
    filled.hard_faults = from.hard_faults;
    filled.soft_faults = from.soft_faults;
    filled.write_faults = from.write_faults;
    filled.failed_faults = from.failed_faults;
    filled.evictions = from.evictions;
    filled.clean_evictions = from.clean_evictions;
    filled.pages_read_ahead = from.pages_read_ahead;
    filled.bytes_read = from.bytes_read;
    filled.bytes_written = from.bytes_written;
    filled.read_errors = from.read_errors;
    filled.write_errors = from.write_errors;
    filled.resident_bytes = from.resident_bytes;
    filled.dirty_bytes = from.dirty_bytes;
    filled.staged_bytes = from.staged_bytes;
    filled.swapped_bytes = from.swapped_bytes;
    filled.pinned_bytes = from.pinned_bytes;
    write_sized(to, filled, FAULTLINE_SIZED(faultline_stats, pinned_bytes));
}

void write_stats(faultline_pager_stats& to, const PagerStats& from) {
    faultline_pager_stats filled{};
    filled.resident_limit = from.resident_limit;
    filled.frames_used = from.frames_used;
    filled.frames_peak = from.frames_peak;
    filled.compressed_used = from.compressed_used;
    filled.direct_reclaims = from.direct_reclaims;
    filled.first_touch_latency = quantiles(from.first_touch_latency);
    filled.hard_latency = quantiles(from.hard_latency);
    filled.soft_latency = quantiles(from.soft_latency);
    filled.write_latency = quantiles(from.write_latency);
    write_sized(to, filled, FAULTLINE_SIZED(faultline_pager_stats, write_latency));
}

}  // namespace faultline::api
