// Cleaner: writes dirty pages and leaves them mapped: resident and dirty -> resident and clean. Fork and clone use it
// before both sides read from the same store.
#pragma once

#include "core/page_range.hpp"
#include "core/signal_safe.hpp"
#include "pager/core.hpp"
#include "pager/evict/page_writer.hpp"
#include "pager/frame/staging.hpp"
#include "store/write_queue.hpp"

#include <cstddef>

namespace faultline::pager {

/// Signal-safe. The caller is a reader of RegionMap::readers(), has signals blocked, and has made sure that no fault is
/// under way (Standstill).
class Cleaner {
public:
    explicit Cleaner(PagerCore& core) noexcept : core_{core}, writer_{core} {}

    /// Writes what is dirty of a region. Pinned pages stay dirty, since a device may write to them. Returns 0 or an
    /// error.
    [[nodiscard]] int clean(Region& region, store::WriteQueue& queue) FAULTLINE_SIGNAL_SAFE;

private:
    [[nodiscard]] int clean_range(Region& region, core::PageRange range,
                                  store::WriteQueue& queue) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] int clean_batch(Region& region, StagingBatch& batch, store::WriteQueue& queue) FAULTLINE_SIGNAL_SAFE;
    void claim_dirty(Region& region, core::PageRange& range, StagingBatch& batch) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] int write_protect(Region& region, StagingBatch& batch) FAULTLINE_SIGNAL_SAFE;
    void finish(StagingBatch& batch, std::size_t entry, int error, bool all_zero) FAULTLINE_SIGNAL_SAFE;

    PagerCore& core_;
    PageWriter writer_;
};

}  // namespace faultline::pager
