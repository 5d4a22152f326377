#include "support/stats_math.hpp"

#include "core/stats_figures.hpp"

#include <faultline/latency_histogram.hpp>
#include <faultline/stats.hpp>

#include <chrono>
#include <cstdint>

namespace faultline::demo {
namespace {

constexpr std::chrono::milliseconds kWindow{1000};

}  // namespace

std::uint64_t total_faults(const RegionStats& stats) noexcept {
    return stats.first_touches + stats.hard_faults + stats.soft_faults + stats.write_faults + stats.failed_faults;
}

PagerStats difference(const PagerStats& later, const PagerStats& earlier) {
    PagerStats result = later;
    core::subtract_counters(result, earlier);
    core::subtract_latencies(result, earlier);
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
