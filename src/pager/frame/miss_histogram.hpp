// MissHistogram: hard faults of the last while, by the stack position of their pages. MemorySplit asks it how many of
// them another division of memory would have changed. Pure arithmetic.
//
// The stack is the list of all pages in the order of their last use (Mattson et al., IBM Systems Journal 9(2), 1970).
// With n frames, the pages at positions 0 to n - 1 are resident. A page whose fault comes after d evictions since it
// left was at position n + d.
#pragma once

#include "core/signal_safe.hpp"

#include <faultline/latency_histogram.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

namespace faultline::pager {

/// The buckets of positions: at most a sixteenth as wide as the position.
struct MissBuckets {
    static constexpr std::size_t kCount = LatencyHistogram::kBuckets;
    static constexpr std::size_t of(std::uint64_t position) noexcept { return LatencyHistogram::bucket_of(position); }
    static constexpr std::uint64_t begin(std::size_t bucket) noexcept { return LatencyHistogram::lower_bound(bucket); }
};

/// Faults since the last look, by bucket.
using MissCounts = std::array<std::uint32_t, MissBuckets::kCount>;

/// Signal-safe. The caller serialises.
class MissHistogram {
public:
    /// Adds the faults since the last look. Those before it weigh 7/8 of what they did.
    void add(const MissCounts& counts) FAULTLINE_SIGNAL_SAFE {
        double sum = 0;
        for (std::size_t bucket = 0; bucket < MissBuckets::kCount; ++bucket) {
            sum += counts[bucket];
            below_[bucket + 1] = below_[bucket + 1] * 7 / 8 + sum;
        }
    }

    /// Returns the weight of all faults.
    [[nodiscard]] double all() const FAULTLINE_SIGNAL_SAFE { return below_[MissBuckets::kCount]; }
    /// Returns the weight of the faults at positions from `position` on.
    [[nodiscard]] double from(double position) const FAULTLINE_SIGNAL_SAFE { return all() - below(position); }
    /// Returns the weight of the faults at positions in [first, end).
    [[nodiscard]] double between(double first, double end) const FAULTLINE_SIGNAL_SAFE {
        return end <= first ? 0 : below(end) - below(first);
    }

private:
    /// The faults of a bucket count as spread evenly over it.
    [[nodiscard]] double below(double position) const FAULTLINE_SIGNAL_SAFE {
        if (position <= 0) return 0;
        const std::size_t bucket = MissBuckets::of(static_cast<std::uint64_t>(position));
        if (bucket + 1 >= MissBuckets::kCount) return all();
        const auto begin = static_cast<double>(MissBuckets::begin(bucket));
        const auto end = static_cast<double>(MissBuckets::begin(bucket + 1));
        return below_[bucket] + (below_[bucket + 1] - below_[bucket]) * (position - begin) / (end - begin);
    }

    std::array<double, MissBuckets::kCount + 1> below_{};  // the weight of all buckets before each
};

}  // namespace faultline::pager
