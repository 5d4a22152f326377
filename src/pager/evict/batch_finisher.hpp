// BatchFinisher: ends the stay of a batch in the staging area. Pages that are still staged leave memory for good and
// their frames are free; pages whose bytes are nowhere else keep the batch in the zone.
#pragma once

#include "core/signal_safe.hpp"
#include "pager/core.hpp"
#include "pager/evict/reclaimed.hpp"
#include "pager/evict/writeback.hpp"
#include "pager/frame/staging.hpp"
#include "store/write_queue.hpp"

#include <cstdint>

namespace faultline::pager {

/// What to do while another thread still writes an older version of all that is left of a batch.
enum class OlderWrite : std::uint8_t { skip, wait };

/// Signal-safe. The caller holds the batch until the call, is a reader of RegionMap::readers(), and has signals
/// blocked.
class BatchFinisher {
public:
    explicit BatchFinisher(PagerCore& core) noexcept : core_{core}, writeback_{core} {}

    /// Writes what is dirty in the batch, evicts what is clean, frees its frames, and gives the batch back. Pages that
    /// cannot be written go back to the zone.
    Reclaimed finish(StagingBatch& batch, store::WriteQueue& queue,
                     OlderWrite older = OlderWrite::skip) FAULTLINE_SIGNAL_SAFE;

    /// Finishes every batch in the zone. Returns 0, or the error of pages that the store refuses, which stay.
    [[nodiscard]] int finish_all(store::WriteQueue& queue) FAULTLINE_SIGNAL_SAFE;

    /// Frees the frames of batches whose regions are destroyed.
    void finish_forgotten() FAULTLINE_SIGNAL_SAFE;

    [[nodiscard]] Writeback& writeback() noexcept { return writeback_; }

private:
    [[nodiscard]] Leaving claim(StagingBatch& batch, std::size_t entry) FAULTLINE_SIGNAL_SAFE;
    std::int64_t drop_frames(StagingBatch& batch) FAULTLINE_SIGNAL_SAFE;
    void publish_evicted(StagingBatch& batch, std::size_t entry) FAULTLINE_SIGNAL_SAFE;

    PagerCore& core_;
    Writeback writeback_;
};

}  // namespace faultline::pager
