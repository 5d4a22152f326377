// CloneSnapshot: a pager's part in cloning an address space: while nothing else goes on, dirty pages are written and
// the copy of the page words is made.
#pragma once

#include "pager/core.hpp"
#include "pager/evict/batch_finisher.hpp"
#include "pager/evict/cleaner.hpp"
#include "pager/evict/shared_frames.hpp"
#include "pager/fault/read_ahead.hpp"
#include "store/backing_store.hpp"
#include "store/write_queue.hpp"

#include <functional>
#include <memory>
#include <mutex>
#include <span>

namespace faultline::pager {

/// Control path, in the process that owns the pager.
class CloneSnapshot {
public:
    CloneSnapshot(PagerCore& core, BatchFinisher& finisher, Cleaner& cleaner, SharedFrames& shared_frames,
                  ReadAhead& read_ahead) noexcept
        : core_{core}, finisher_{finisher}, cleaner_{cleaner}, shared_frames_{shared_frames}, read_ahead_{read_ahead} {}

    /// While the lock is held no region of the pager comes or goes, and no fork begins that inherits it: stores may be
    /// opened and closed.
    [[nodiscard]] std::unique_lock<std::mutex> keep_regions() { return std::unique_lock{core_.control}; }

    /// Calls `change` at a standstill (Standstill), after all dirty pages of the regions are in their stores; a page
    /// that is pinned for devices is there as it was a moment ago. The caller holds that lock. Throws what writing may
    /// meet (ENOSPC, EIO), EAGAIN for a thread, and what `change` throws.
    void freeze(std::span<Region* const> regions, const std::function<void()>& change);

    /// At that standstill: gives `to`, which no thread has used, the pages that `from` has in its store. Their stores
    /// share the bytes already.
    void copy_words(const Region& from, const Region& to);

private:
    void write_dirty(std::span<Region* const> regions, store::WriteQueue& queue);

    PagerCore& core_;
    BatchFinisher& finisher_;
    Cleaner& cleaner_;
    SharedFrames& shared_frames_;
    ReadAhead& read_ahead_;
};

}  // namespace faultline::pager
