#include "core/stats_figures.hpp"

#include <cstddef>
#include <cstdint>

namespace faultline {

RegionStats& RegionStats::operator+=(const RegionStats& other) noexcept {
    core::add_figures(*this, other);
    return *this;
}

LatencyHistogram core::latencies_since(const LatencyHistogram& later, const LatencyHistogram& earlier) noexcept {
    LatencyHistogram result;
    for (std::size_t i = 0; i < LatencyHistogram::kBuckets; ++i) {
        const std::uint64_t before = earlier.count_in(i);
        const std::uint64_t now = later.count_in(i);
        if (now > before) result.record(LatencyHistogram::lower_bound(i), now - before);
    }
    return result;
}

void core::subtract_latencies(PagerStats& later, const PagerStats& earlier) noexcept {
    for (const auto latency : kPagerLatencies) later.*latency = latencies_since(later.*latency, earlier.*latency);
}

}  // namespace faultline
