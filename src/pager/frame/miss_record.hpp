// MissRecord: what hard faults tell about the division of memory between frames and compressed pages: how many would
// have been hits with a few more frames, how many lie at the border between compressed memory and the disk, and what
// both kinds cost. PageFill records, MemorySplit judges.
//
// The distance of a fault is the number of evictions since its page left. Pages that left lately are in compressed
// memory, the others on the disk; the border is the distance at which they change.
#pragma once

#include "core/running_median.hpp"
#include "core/signal_safe.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>

namespace faultline::pager {

/// Distances, in evictions.
struct MissRanges {
    std::uint32_t near = 0;          ///< Faults up to here would have been hits with so many more frames.
    std::uint32_t border_begin = 0;  ///< Faults from here
    std::uint32_t border_end = 0;    ///< up to here lie at the border.

    friend bool operator==(const MissRanges&, const MissRanges&) = default;
};

struct MissCounts {
    std::uint64_t faults = 0;  ///< All hard faults.
    std::uint64_t near = 0;
    std::uint64_t border = 0;
};

/// Lock-free and signal-safe. All accesses are relaxed: the figures are for a decision only.
class MissRecord {
public:
    /// Counts a fault. `took`: from the begin of the read until the page is mapped, without the eviction before it.
    void record(std::uint32_t distance, bool from_disk, std::chrono::nanoseconds took) FAULTLINE_SIGNAL_SAFE {
        (from_disk ? disk_cost_ : memory_cost_).record(took);
        add(faults_);
        if (distance <= load(near_)) add(near_hits_);
        if (distance >= load(border_begin_) && distance <= load(border_end_)) add(border_hits_);
    }

    [[nodiscard]] std::uint64_t faults() const FAULTLINE_SIGNAL_SAFE { return load(faults_); }

    /// Returns the counts, and sets them to 0.
    [[nodiscard]] MissCounts take() FAULTLINE_SIGNAL_SAFE {
        return {take(faults_), take(near_hits_), take(border_hits_)};
    }
    [[nodiscard]] MissRanges ranges() const FAULTLINE_SIGNAL_SAFE {
        return {load(near_), load(border_begin_), load(border_end_)};
    }
    void set_ranges(const MissRanges& ranges) FAULTLINE_SIGNAL_SAFE {
        near_.store(ranges.near, std::memory_order_relaxed);
        border_begin_.store(ranges.border_begin, std::memory_order_relaxed);
        border_end_.store(ranges.border_end, std::memory_order_relaxed);
    }

    [[nodiscard]] std::chrono::nanoseconds memory_cost() const FAULTLINE_SIGNAL_SAFE { return memory_cost_.get(); }
    [[nodiscard]] std::chrono::nanoseconds disk_cost() const FAULTLINE_SIGNAL_SAFE { return disk_cost_.get(); }

private:
    template <typename Value>
    static Value load(const std::atomic<Value>& value) FAULTLINE_SIGNAL_SAFE {
        return value.load(std::memory_order_relaxed);
    }
    static void add(std::atomic<std::uint64_t>& count) FAULTLINE_SIGNAL_SAFE {
        count.fetch_add(1, std::memory_order_relaxed);
    }
    static std::uint64_t take(std::atomic<std::uint64_t>& count) FAULTLINE_SIGNAL_SAFE {
        return count.exchange(0, std::memory_order_relaxed);
    }

    // What a fault costs on a common machine, until it is measured.
    static constexpr std::chrono::nanoseconds kMemoryCost{8'000};
    static constexpr std::chrono::nanoseconds kDiskCost{80'000};
    static constexpr std::chrono::nanoseconds kLeast{256};

    core::RunningMedian memory_cost_{kMemoryCost, kLeast};
    core::RunningMedian disk_cost_{kDiskCost, kLeast};
    std::atomic<std::uint32_t> near_{0};
    std::atomic<std::uint32_t> border_begin_{0};
    std::atomic<std::uint32_t> border_end_{0};
    std::atomic<std::uint64_t> faults_{0};
    std::atomic<std::uint64_t> near_hits_{0};
    std::atomic<std::uint64_t> border_hits_{0};
};

}  // namespace faultline::pager
