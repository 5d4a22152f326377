// StackDepth: estimates how many distinct pages a program used between two uses of a page, from the number of evictions
// in between. MissHistogram asks it.
//
// A page that is evicted twice in that time counts twice as an eviction, but is one page. So the number of evictions
// since a page left says too much, and more so the more the program thrashes. An eviction counts only if its page has
// not come back when the other page does. Let H(a) be the share of evictions whose page comes back within `a` further
// evictions. Then d evictions stand for
//
//   depth(d) = sum over a < d of (1 - H(a))      distinct pages
//
// Eklov and Hagersten, "StatStack: Efficient Modeling of LRU Caches" (ISPASS 2010). Pure arithmetic.
#pragma once

#include "core/signal_safe.hpp"

#include <faultline/latency_histogram.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace faultline::pager {

/// The buckets of distances and positions: at most a sixteenth as wide as their lower bound.
struct MissBuckets {
    static constexpr std::size_t kCount = LatencyHistogram::kBuckets;
    static constexpr std::size_t of(std::uint64_t pages) noexcept { return LatencyHistogram::bucket_of(pages); }
    static constexpr double begin(std::size_t bucket) noexcept {
        return static_cast<double>(LatencyHistogram::lower_bound(bucket));
    }
};

/// Pages, by bucket.
using MissCounts = std::array<std::uint32_t, MissBuckets::kCount>;

/// Signal-safe. The caller serialises.
class StackDepth {
public:
    /// Adds what happened since the last look: `evictions`, and the pages that came back, by faults and ahead of them,
    /// by the number of evictions since they left. What happened before weighs 7/8 of what it did.
    void add(const MissCounts& faults, const MissCounts& ahead, double evictions) FAULTLINE_SIGNAL_SAFE {
        evictions_ = evictions_ * 7 / 8 + evictions;
        double returns = 0;  // of all buckets so far
        double depth = 0;
        for (std::size_t bucket = 0; bucket + 1 < MissBuckets::kCount; ++bucket) {
            returned_[bucket] = returned_[bucket] * 7 / 8 + faults[bucket] + ahead[bucket];
            const double away_at_begin = share_away(returns);
            returns += returned_[bucket];
            const double width = MissBuckets::begin(bucket + 1) - MissBuckets::begin(bucket);
            depth += width * (away_at_begin + share_away(returns)) / 2;
            depth_[bucket + 1] = depth;
        }
    }

    /// Returns the depth of a distance at the middle of the bucket.
    [[nodiscard]] double in_bucket(std::size_t bucket) const FAULTLINE_SIGNAL_SAFE {
        return (depth_[bucket] + depth_[std::min(bucket + 1, MissBuckets::kCount - 1)]) / 2;
    }

private:
    /// Returns the share of evictions whose page is not among `returns`.
    [[nodiscard]] double share_away(double returns) const FAULTLINE_SIGNAL_SAFE {
        return evictions_ <= returns ? 0 : 1 - returns / evictions_;
    }

    double evictions_ = 0;
    std::array<double, MissBuckets::kCount> returned_{};
    std::array<double, MissBuckets::kCount> depth_{};  // at the lower bound of each bucket
};

}  // namespace faultline::pager
