// Writeback: writes the dirty pages of a staged batch to their stores: staged and dirty -> staged and clean. A fault
// may take a page back while its write is in flight; then the page stays dirty and the written version is not used.
#pragma once

#include "core/signal_safe.hpp"
#include "pager/core.hpp"
#include "pager/evict/page_writer.hpp"
#include "pager/frame/staging.hpp"
#include "store/write_queue.hpp"

#include <cstddef>

namespace faultline::pager {

/// Signal-safe. The caller holds the batch, is a reader of RegionMap::readers(), and has signals blocked.
class Writeback {
public:
    explicit Writeback(PagerCore& core) noexcept : core_{core}, writer_{core} {}

    /// Writes the dirty pages of the batch. Returns 0 or the last error; pages that were not written stay staged and
    /// dirty.
    [[nodiscard]] int write(StagingBatch& batch, store::WriteQueue& queue) FAULTLINE_SIGNAL_SAFE;

    /// Waits until no other thread writes an older version of a page of the batch. Such a thread waits for nothing of
    /// this batch. Without the wait, a thread of higher priority would try again and again, and keep that thread from
    /// its CPU.
    void wait_for_older_write(const StagingBatch& batch) FAULTLINE_SIGNAL_SAFE;

private:
    [[nodiscard]] bool begin(StagingBatch& batch, std::size_t entry) FAULTLINE_SIGNAL_SAFE;
    void finish(StagingBatch& batch, std::size_t entry, int error, bool all_zero) FAULTLINE_SIGNAL_SAFE;

    PagerCore& core_;
    PageWriter writer_;
};

}  // namespace faultline::pager
