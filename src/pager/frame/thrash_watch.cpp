#include "pager/frame/thrash_watch.hpp"

namespace faultline::pager {
namespace {

/// A program thrashes if this part of a window is lost: a third. The way of a fault to the pager and back, which no
/// duration contains, takes about as long again where pages come from compressed memory.
constexpr int kPartOfWindow = 3;

/// The sum of all durations, a few percent too low.
std::chrono::nanoseconds sum_of(const LatencyHistogram& durations) noexcept {
    std::uint64_t sum = 0;
    for (std::size_t bucket = 0; bucket < LatencyHistogram::kBuckets; ++bucket) {
        sum += durations.count_in(bucket) * LatencyHistogram::lower_bound(bucket);
    }
    return std::chrono::nanoseconds{sum};
}

/// Returns how many frames more than `frames` would have avoided nine of ten faults.
double frames_wanted(const MissHistogram& misses, double frames) noexcept {
    for (std::size_t bucket = 0; bucket < MissBuckets::kCount; ++bucket) {
        const double position = MissBuckets::begin(bucket);
        if (position > frames && misses.from(position) <= misses.all() / 10) return position - frames;
    }
    return MissBuckets::begin(MissBuckets::kCount - 1) - frames;
}

}  // namespace

MissCounts ThrashWatch::taken() noexcept {
    MissCounts counts;
    for (std::size_t bucket = 0; bucket < counts.size(); ++bucket) {
        counts[bucket] = faults_at_[bucket].exchange(0, std::memory_order_relaxed);
    }
    return counts;
}

std::optional<Thrashing> ThrashWatch::look(std::chrono::nanoseconds now, const LatencyHistogram& hard,
                                           std::uint64_t evictions, std::uint64_t frames) noexcept {
    const MissFigures figures{taken(), {}, evictions - evictions_before_};
    const std::chrono::nanoseconds lost = sum_of(hard);
    Thrashing found{now - began_.load(), lost - lost_before_};
    for (const std::uint32_t count : figures.faults) found.faults += count;
    began_ = now;
    lost_before_ = lost;
    evictions_before_ = evictions;
    if (said_ || found.faults == 0 || found.lost * kPartOfWindow < found.over) return std::nullopt;
    said_ = true;
    MissHistogram misses;
    misses.add(figures, static_cast<double>(frames));
    found.wanted_bytes = static_cast<std::uint64_t>(frames_wanted(misses, static_cast<double>(frames)))
                         << core::kUnitShift;
    return found;
}

}  // namespace faultline::pager
