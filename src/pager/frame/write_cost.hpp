// WriteCost: how long the stores take to write one evicted page: the running median of all batches. FrameReclaimer asks
// it which thread should evict. With a fast store (compressed memory), the faulting thread: were the pages unmapped on
// another CPU, each scattered page would interrupt the faulting thread's CPU, which costs more than to compress it.
// With a slow store (a disk), the housekeeper: its writes overlap with the program.
#pragma once

#include "core/signal_safe.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace faultline::pager {

/// Lock-free and signal-safe. Updates are relaxed and may race: a lost one counts for little.
class WriteCost {
public:
    /// Records that the writes of a batch of `pages` took `time`. The estimate goes a sixteenth of itself towards the
    /// result, however far away that is: a thread that lost its CPU meanwhile, or a busy disk, says little.
    void record(std::chrono::nanoseconds time, std::size_t pages) FAULTLINE_SIGNAL_SAFE {
        if (pages == 0) return;
        const std::int64_t latest = time.count() / static_cast<std::int64_t>(pages);
        const std::int64_t known = nanoseconds_.load(std::memory_order_relaxed);
        const std::int64_t step = known / 16;
        const std::int64_t next = known + std::clamp(latest - known, -step, step);
        nanoseconds_.store(std::max(next, kLeast), std::memory_order_relaxed);
        if (next > kSlow) fast_.store(false, std::memory_order_relaxed);
        if (next < kFast) fast_.store(true, std::memory_order_relaxed);
    }

    /// Returns true if the stores write pages about as fast as they can be unmapped.
    [[nodiscard]] bool is_low() const FAULTLINE_SIGNAL_SAFE { return fast_.load(std::memory_order_relaxed); }

private:
    // LZ4 takes 4 to 6 us a page; a disk takes 60 to 100 for one page, and 12 to 20 with many writes in flight.
    static constexpr std::int64_t kSlow = 18'000;  // nanoseconds
    static constexpr std::int64_t kFast = 9'000;
    static constexpr std::int64_t kLeast = 256;

    std::atomic<std::int64_t> nanoseconds_{4'000};
    std::atomic<bool> fast_{true};
};

}  // namespace faultline::pager
