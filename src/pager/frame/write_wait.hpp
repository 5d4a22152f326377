// WriteWait: how long the stores make the writing thread wait for each evicted page: the running median of all batches.
// FrameReclaimer asks it which thread should evict. With a store that computes (compressed memory, a file on tmpfs),
// the faulting thread: were the pages unmapped on another CPU, each scattered page would interrupt the faulting
// thread's CPU, which costs more than to compress it. With a store that waits for a device, the housekeeper: its writes
// overlap with the program.
#pragma once

#include "core/signal_safe.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace faultline::pager {

/// Lock-free and signal-safe. Updates are relaxed and may race: a lost one counts for little.
class WriteWait {
public:
    /// Records that the thread waited for `time`, without its CPU, while it wrote a batch of `pages`. The estimate goes
    /// a sixteenth of itself towards the result, however far away that is: a thread that lost its CPU to another, or a
    /// busy disk, says little.
    void record(std::chrono::nanoseconds time, std::size_t pages) FAULTLINE_SIGNAL_SAFE {
        if (pages == 0) return;
        const std::int64_t latest = time.count() / static_cast<std::int64_t>(pages);
        const std::int64_t known = nanoseconds_.load(std::memory_order_relaxed);
        const std::int64_t step = known / 16;
        const std::int64_t next = known + std::clamp(latest - known, -step, step);
        nanoseconds_.store(std::max(next, kLeast), std::memory_order_relaxed);
        if (next > kLong) short_.store(false, std::memory_order_relaxed);
        if (next < kShort) short_.store(true, std::memory_order_relaxed);
    }

    /// Returns true if the stores write pages while they have the CPU.
    [[nodiscard]] bool is_short() const FAULTLINE_SIGNAL_SAFE { return short_.load(std::memory_order_relaxed); }

private:
    // A disk lets the writer of a long run wait for 2 to 5 us a page, and for 12 to 100 us where pages are scattered.
    static constexpr std::int64_t kLong = 1'500;  // nanoseconds
    static constexpr std::int64_t kShort = 750;
    static constexpr std::int64_t kLeast = 256;

    std::atomic<std::int64_t> nanoseconds_{kLeast};
    std::atomic<bool> short_{true};
};

}  // namespace faultline::pager
