// PageSweeper: gives dead pages back to the pager, some time after they die. A page that dies is often live again soon,
// and discarding in batches costs less. Until then the pager drops a dead page that it evicts, without writing it.
//
// The sweeping thread holds the pages that it discards, so that no block on them is handed out. It takes a free run off
// the lists. In a span it takes all blocks of the page out, as if they were allocated.
//
// Threads that free blocks call it. It is not a thread of its own.
#pragma once

#include "heap/central_spans.hpp"
#include "heap/page_discarder.hpp"

#include <cstdint>
#include <mutex>

namespace faultline::heap {

/// Safe to use from any thread that is inside a NoForkSection and holds no lock of the heap.
class PageSweeper {
public:
    /// A sweep is due when more than `max_dead_bytes` are dead.
    PageSweeper(HeapPages& pages, CentralSpans& central, PageDiscarder& discarder,
                std::uint64_t max_dead_bytes) noexcept
        : pages_{pages}, central_{central}, discarder_{discarder}, max_dead_bytes_{max_dead_bytes} {}
    PageSweeper(const PageSweeper&) = delete;
    PageSweeper& operator=(const PageSweeper&) = delete;

    void sweep_if_due() noexcept {
        if (pages_.life().dead_bytes() > max_dead_bytes_) [[unlikely]]
            sweep_some();
    }
    /// Discards all dead pages, and pages that prefetch made resident beyond the frontiers. Returns the bytes of dead
    /// pages discarded.
    std::uint64_t sweep_all() noexcept;
    /// Blocks until no sweep is running: a sweep holds pages that allocations could use.
    void wait_for_sweep() noexcept { const std::lock_guard done{mutex_}; }

private:
    void sweep_some() noexcept;

    // Called with mutex_ held.
    void sweep(std::uint64_t keep_bytes) noexcept;
    void sweep_range(core::PageRange range, std::uint64_t keep_bytes) noexcept;
    std::uint64_t sweep_run(core::PageRange dead) noexcept;
    std::uint64_t sweep_free_run(core::PageRange dead) noexcept;
    void sweep_span(SizeClass size_class, core::PageRange dead) noexcept;
    void retreat_frontier(Area area, std::uint64_t keep_bytes) noexcept;
    void discard_beyond_frontier(Area area) noexcept;

    HeapPages& pages_;
    CentralSpans& central_;
    PageDiscarder& discarder_;
    std::uint64_t max_dead_bytes_;
    std::mutex mutex_;          // guards cursor_; held by a thread that discards pages
    std::uint64_t cursor_ = 0;  // the page at which the last sweep ended
};

}  // namespace faultline::heap
