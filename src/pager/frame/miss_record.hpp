// MissRecord: what hard faults tell about the division of memory between frames and compressed pages: where in the
// order of use their pages were, and what a fault on compressed memory and one on the disk cost. PageFill records,
// MemorySplit judges.
#pragma once

#include "core/running_median.hpp"
#include "core/signal_safe.hpp"
#include "pager/frame/miss_histogram.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace faultline::pager {

/// Lock-free and signal-safe. All accesses are relaxed: the figures are for a decision only.
class MissRecord {
public:
    /// Counts a fault. `position`: of its page in the order of use, see MissHistogram. `evicted`: the time until it had
    /// a frame. `read`: from then until the page is mapped.
    void record(std::uint64_t position, bool from_disk, std::chrono::nanoseconds evicted,
                std::chrono::nanoseconds read) FAULTLINE_SIGNAL_SAFE {
        (from_disk ? disk_cost_ : memory_cost_).record(read);
        const std::int64_t mean = eviction_cost_.load(std::memory_order_relaxed);
        eviction_cost_.store(mean + (evicted.count() - mean) / kFaultsInMean, std::memory_order_relaxed);
        faults_.fetch_add(1, std::memory_order_relaxed);
        by_position_[MissBuckets::of(position)].fetch_add(1, std::memory_order_relaxed);
    }

    [[nodiscard]] std::uint64_t faults() const FAULTLINE_SIGNAL_SAFE { return faults_.load(std::memory_order_relaxed); }

    /// Returns the faults since the last call.
    [[nodiscard]] MissCounts take() FAULTLINE_SIGNAL_SAFE {
        MissCounts counts;
        faults_.store(0, std::memory_order_relaxed);
        for (std::size_t bucket = 0; bucket < counts.size(); ++bucket) {
            std::atomic<std::uint32_t>& count = by_position_[bucket];
            counts[bucket] = count.load(std::memory_order_relaxed);
            if (counts[bucket] != 0) count.fetch_sub(counts[bucket], std::memory_order_relaxed);
        }
        return counts;
    }

    // What a fault costs the thread: a typical read, and its part of an eviction. One fault evicts for many, so that
    // part is a mean.

    [[nodiscard]] std::chrono::nanoseconds memory_cost() const FAULTLINE_SIGNAL_SAFE {
        return memory_cost_.get() + eviction_cost();
    }
    [[nodiscard]] std::chrono::nanoseconds disk_cost() const FAULTLINE_SIGNAL_SAFE {
        return disk_cost_.get() + eviction_cost();
    }

private:
    [[nodiscard]] std::chrono::nanoseconds eviction_cost() const FAULTLINE_SIGNAL_SAFE {
        return std::chrono::nanoseconds{eviction_cost_.load(std::memory_order_relaxed)};
    }

    static constexpr std::int64_t kFaultsInMean = 256;
    // What a fault costs on a common machine, until it is measured.
    static constexpr std::chrono::nanoseconds kMemoryCost{8'000};
    static constexpr std::chrono::nanoseconds kDiskCost{80'000};
    static constexpr std::chrono::nanoseconds kLeast{256};

    core::RunningMedian memory_cost_{kMemoryCost, kLeast};
    core::RunningMedian disk_cost_{kDiskCost, kLeast};
    std::atomic<std::int64_t> eviction_cost_{kMemoryCost.count()};  // ns
    std::atomic<std::uint64_t> faults_{0};
    std::array<std::atomic<std::uint32_t>, MissBuckets::kCount> by_position_{};
};

}  // namespace faultline::pager
