#include "support/stats_math.hpp"

#include <faultline/latency_histogram.hpp>
#include <faultline/stats.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace faultline::demo {
namespace {

constexpr std::chrono::milliseconds kWindow{1000};

/// The counters are read while they change, so a later sample may have a smaller value than an earlier one.
std::uint64_t since(std::uint64_t later, std::uint64_t earlier) { return later > earlier ? later - earlier : 0; }

}  // namespace

std::uint64_t total_faults(const RegionStats& stats) noexcept {
    return stats.first_touches + stats.hard_faults + stats.soft_faults + stats.write_faults + stats.failed_faults;
}

LatencyHistogram difference(const LatencyHistogram& later, const LatencyHistogram& earlier) {
    LatencyHistogram result;
    for (std::size_t bucket = 0; bucket < LatencyHistogram::kBuckets; ++bucket) {
        const std::uint64_t times = since(later.count_in(bucket), earlier.count_in(bucket));
        if (times > 0) result.record(LatencyHistogram::lower_bound(bucket), times);
    }
    return result;
}

PagerStats difference(const PagerStats& later, const PagerStats& earlier) {
    PagerStats result = later;
    for (const auto field :
         {&RegionStats::first_touches, &RegionStats::hard_faults, &RegionStats::soft_faults, &RegionStats::write_faults,
          &RegionStats::failed_faults, &RegionStats::evictions, &RegionStats::clean_evictions,
          &RegionStats::pages_read_ahead, &RegionStats::bytes_read, &RegionStats::bytes_written}) {
        result.*field = since(later.*field, earlier.*field);
    }
    result.direct_reclaims = since(later.direct_reclaims, earlier.direct_reclaims);
    result.write_errors = since(later.write_errors, earlier.write_errors);
    result.read_errors = since(later.read_errors, earlier.read_errors);
    result.first_touch_latency = difference(later.first_touch_latency, earlier.first_touch_latency);
    result.hard_latency = difference(later.hard_latency, earlier.hard_latency);
    result.soft_latency = difference(later.soft_latency, earlier.soft_latency);
    result.write_latency = difference(later.write_latency, earlier.write_latency);
    return result;
}

RateWindow::Rates RateWindow::update(const RegionStats& stats, Clock::time_point now) {
    const Rates totals{static_cast<double>(total_faults(stats)), static_cast<double>(stats.evictions),
                       static_cast<double>(stats.bytes_read), static_cast<double>(stats.bytes_written)};
    samples_.push_back({now, totals});
    while (samples_.size() > 2 && now - samples_[1].time >= kWindow) samples_.pop_front();
    const Sample& oldest = samples_.front();
    const double seconds = std::chrono::duration<double>(now - oldest.time).count();
    if (seconds <= 0) return {};
    const auto rate = [seconds](double later, double earlier) {
        return later > earlier ? (later - earlier) / seconds : 0.0;
    };
    return {rate(totals.faults, oldest.totals.faults), rate(totals.evictions, oldest.totals.evictions),
            rate(totals.bytes_read, oldest.totals.bytes_read), rate(totals.bytes_written, oldest.totals.bytes_written)};
}

}  // namespace faultline::demo
