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
    /// Counts a fault. `distance`: the evictions since its page left. `evicted`: the time until it had a frame. `read`:
    /// from then until the page is mapped.
    void record(std::uint64_t distance, bool from_disk, std::chrono::nanoseconds evicted,
                std::chrono::nanoseconds read) FAULTLINE_SIGNAL_SAFE {
        (from_disk ? disk_cost_ : memory_cost_).record(read);
        const std::int64_t mean = eviction_cost_.load(std::memory_order_relaxed);
        eviction_cost_.store(mean + (evicted.count() - mean) / kFaultsInMean, std::memory_order_relaxed);
        faults_.fetch_add(1, std::memory_order_relaxed);
        faults_at_[MissBuckets::of(distance)].fetch_add(1, std::memory_order_relaxed);
    }
    /// Counts a page that came in before the program asked for it.
    void record_ahead(std::uint64_t distance) FAULTLINE_SIGNAL_SAFE {
        ahead_at_[MissBuckets::of(distance)].fetch_add(1, std::memory_order_relaxed);
    }

    [[nodiscard]] std::uint64_t faults() const FAULTLINE_SIGNAL_SAFE { return faults_.load(std::memory_order_relaxed); }

    /// Returns what happened since the last call. `evictions`: so far. One thread at a time.
    [[nodiscard]] MissFigures take(std::uint64_t evictions) FAULTLINE_SIGNAL_SAFE {
        faults_.store(0, std::memory_order_relaxed);
        const std::uint64_t since = evictions - evictions_;
        evictions_ = evictions;
        return {taken(faults_at_), taken(ahead_at_), since};
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
    using Counters = std::array<std::atomic<std::uint32_t>, MissBuckets::kCount>;

    [[nodiscard]] static MissCounts taken(Counters& counters) FAULTLINE_SIGNAL_SAFE {
        MissCounts counts;
        for (std::size_t bucket = 0; bucket < counts.size(); ++bucket) {
            counts[bucket] = counters[bucket].load(std::memory_order_relaxed);
            if (counts[bucket] != 0) counters[bucket].fetch_sub(counts[bucket], std::memory_order_relaxed);
        }
        return counts;
    }
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
    std::uint64_t evictions_ = 0;  // at the last `take`
    Counters faults_at_{};         // by distance
    Counters ahead_at_{};
};

}  // namespace faultline::pager
