// WriteWait: how long the stores make the writing thread wait for each evicted page: the running median of all batches.
// FrameReclaimer asks it which thread should evict. With a store that computes (compressed memory, a file on tmpfs),
// the faulting thread: were the pages unmapped on another CPU, each scattered page would interrupt the faulting
// thread's CPU, which costs more than to compress it. With a store that waits for a device, the housekeeper: its writes
// overlap with the program.
#pragma once

#include "core/running_median.hpp"
#include "core/signal_safe.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace faultline::pager {

/// Lock-free and signal-safe. Updates are relaxed and may race: a lost one counts for little.
class WriteWait {
public:
    /// Records that the thread waited for `time`, without its CPU, while it wrote a batch of `pages`.
    void record(std::chrono::nanoseconds time, std::size_t pages) FAULTLINE_SIGNAL_SAFE {
        if (pages == 0) return;
        const std::chrono::nanoseconds next = for_one_page_.record(time / static_cast<std::int64_t>(pages));
        if (next > kLong) short_.store(false, std::memory_order_relaxed);
        if (next < kShort) short_.store(true, std::memory_order_relaxed);
    }

    /// Returns true if the stores write pages while they have the CPU.
    [[nodiscard]] bool is_short() const FAULTLINE_SIGNAL_SAFE { return short_.load(std::memory_order_relaxed); }

private:
    // A disk lets the writer of a long run wait for 2 to 5 us a page, and for 12 to 100 us where pages are scattered.
    static constexpr std::chrono::nanoseconds kLong{1'500};
    static constexpr std::chrono::nanoseconds kShort{750};
    static constexpr std::chrono::nanoseconds kLeast{256};

    core::RunningMedian for_one_page_{kLeast, kLeast};
    std::atomic<bool> short_{true};
};

}  // namespace faultline::pager
