// BatchFinisher: writes and evicts the pages of a batch that are still staged, and frees their frames. A page whose
// bytes cannot be written stays staged, and its batch goes back to the zone.
#pragma once

#include "core/signal_safe.hpp"
#include "pager/core.hpp"
#include "pager/evict/reclaimed.hpp"
#include "pager/evict/writeback.hpp"
#include "pager/frame/staging.hpp"
#include "store/write_queue.hpp"

#include <cstdint>

namespace faultline::pager {

/// What `finish` does if all pages left in the batch have an older version that another thread still writes.
enum class OlderWrite : std::uint8_t { skip, wait };

/// Signal-safe. The caller holds the batch until the call, is a reader of RegionMap::readers(), and has signals
/// blocked.
class BatchFinisher {
public:
    explicit BatchFinisher(PagerCore& core) noexcept : core_{core}, writeback_{core} {}

    /// Writes the dirty pages of the batch, evicts the clean ones and those written, frees their frames, and gives the
    /// batch back: to the zone if pages are left in it.
    Reclaimed finish(StagingBatch& batch, store::WriteQueue& queue,
                     OlderWrite older = OlderWrite::skip) FAULTLINE_SIGNAL_SAFE;

    /// Finishes every batch in the zone. Returns 0, or the error of a write; those pages stay staged.
    [[nodiscard]] int finish_all(store::WriteQueue& queue) FAULTLINE_SIGNAL_SAFE;

    /// Frees the frames of batches whose regions are destroyed.
    void finish_forgotten() FAULTLINE_SIGNAL_SAFE;

    [[nodiscard]] Writeback& writeback() noexcept { return writeback_; }

private:
    [[nodiscard]] Leaving claim(StagingBatch& batch, std::size_t entry) FAULTLINE_SIGNAL_SAFE;
    void keep_copies(const StagingBatch& batch) FAULTLINE_SIGNAL_SAFE;
    std::int64_t drop_frames(StagingBatch& batch) FAULTLINE_SIGNAL_SAFE;
    void publish_evicted(StagingBatch& batch, std::size_t entry) FAULTLINE_SIGNAL_SAFE;

    PagerCore& core_;
    Writeback writeback_;
};

}  // namespace faultline::pager
