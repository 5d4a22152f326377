// LatencyRecorder: counts the durations of faults by kind, sharded by CPU. It records ticks of the time stamp counter,
// which cost less than a clock. Only `read` converts them to nanoseconds, by comparing the counter with the clock over
// the recorder's life. FaultResolver records, Pager::stats reads.
#pragma once

#include "core/signal_safe.hpp"
#include "sys/cpu.hpp"

#include <faultline/latency_histogram.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstdint>
#include <memory>

namespace faultline::pager {

/// What a fault needed; `none`: the fault is not recorded.
enum class FaultKind : std::uint8_t { first_touch, hard, soft, write, none };

/// Thread-safe. All counts are relaxed.
class LatencyRecorder {
public:
    LatencyRecorder()
        : mask_{std::bit_ceil(std::min(sys::allowed_cpus(), kMostShards)) - 1},
          shards_{std::make_unique<Shard[]>(mask_ + 1)},
          first_tick_{sys::ticks()},
          first_time_{std::chrono::steady_clock::now()} {}

    /// Counts a fault that took `ticks`. Signal-safe.
    void record(FaultKind kind, std::uint64_t ticks) const FAULTLINE_SIGNAL_SAFE {
        if (kind == FaultKind::none) return;
        shards_[sys::current_cpu() & mask_]
            .counts[static_cast<std::size_t>(kind)][LatencyHistogram::bucket_of(ticks)]
            .fetch_add(1, std::memory_order_relaxed);
    }

    /// Returns the durations of one kind, in nanoseconds. Not for the fault path.
    [[nodiscard]] LatencyHistogram read(FaultKind kind) const {
        const double scale = nanoseconds_per_tick();
        LatencyHistogram histogram;
        for (std::size_t bucket = 0; bucket < LatencyHistogram::kBuckets; ++bucket) {
            std::uint64_t count = 0;
            for (std::size_t i = 0; i <= mask_; ++i) {
                count += shards_[i].counts[static_cast<std::size_t>(kind)][bucket].load(std::memory_order_relaxed);
            }
            if (count == 0) continue;
            const auto ticks = static_cast<double>(LatencyHistogram::lower_bound(bucket));
            histogram.record(static_cast<std::uint64_t>(ticks * scale), count);
        }
        return histogram;
    }

private:
    static constexpr unsigned kMostShards = 16;

    struct alignas(64) Shard {
        std::array<std::array<std::atomic<std::uint64_t>, LatencyHistogram::kBuckets>,
                   static_cast<std::size_t>(FaultKind::none)>
            counts{};
    };

    [[nodiscard]] double nanoseconds_per_tick() const {
        const auto elapsed = std::chrono::steady_clock::now() - first_time_;
        const std::uint64_t ticks = sys::ticks() - first_tick_;
        if (ticks == 0) return 1.0;
        return static_cast<double>(std::chrono::nanoseconds{elapsed}.count()) / static_cast<double>(ticks);
    }

    std::size_t mask_;
    std::unique_ptr<Shard[]> shards_;
    std::uint64_t first_tick_;
    std::chrono::steady_clock::time_point first_time_;
};

}  // namespace faultline::pager
