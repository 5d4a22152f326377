// MissHistogram: hard faults of the last while, by the stack position of their pages. MemorySplit asks it how many of
// them another division of memory would have changed. Pure arithmetic.
//
// The stack is the list of all pages in the order of their last use (Mattson et al., IBM Systems Journal 9(2), 1970).
// With n frames, the pages at positions 0 to n - 1 are resident. A page whose fault comes when d others have been used
// since it left (StackDepth) was at position n + d.
#pragma once

#include "core/signal_safe.hpp"
#include "pager/frame/stack_depth.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace faultline::pager {

/// What happened since the last look. Distances are numbers of evictions since a page left.
struct MissFigures {
    MissCounts faults{};  ///< Hard faults, by distance.
    MissCounts ahead{};   ///< Pages that came in before the program asked for them, by distance.
    std::uint64_t evictions = 0;
};

/// Signal-safe. The caller serialises.
class MissHistogram {
public:
    /// Adds the faults since the last look. Those before it weigh 7/8 of what they did. `frames`: how many there are.
    void add(const MissFigures& figures, double frames) FAULTLINE_SIGNAL_SAFE {
        depth_.add(figures.faults, figures.ahead, static_cast<double>(figures.evictions));
        for (double& faults : faults_) faults = faults * 7 / 8;
        for (std::size_t bucket = 0; bucket < MissBuckets::kCount; ++bucket) {
            if (figures.faults[bucket] == 0) continue;
            const double position = frames + depth_.in_bucket(bucket);
            faults_[MissBuckets::of(static_cast<std::uint64_t>(position))] += figures.faults[bucket];
        }
        double sum = 0;
        for (std::size_t bucket = 0; bucket < MissBuckets::kCount; ++bucket) {
            sum += faults_[bucket];
            below_[bucket + 1] = sum;
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
        const double begin = MissBuckets::begin(bucket);
        const double end = MissBuckets::begin(bucket + 1);
        return below_[bucket] + (below_[bucket + 1] - below_[bucket]) * (position - begin) / (end - begin);
    }

    StackDepth depth_;
    std::array<double, MissBuckets::kCount> faults_{};     // by position
    std::array<double, MissBuckets::kCount + 1> below_{};  // the weight of all buckets before each
};

}  // namespace faultline::pager
