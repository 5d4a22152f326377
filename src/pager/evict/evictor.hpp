// Evictor: unmaps pages and frees their frames. The background thread, a faulting thread that finds no frame, and
// control calls that evict a range all take these steps:
//
//   1 choose   the policy picks; each page's word goes from resident to evicting          (Evictor)
//   2 unmap    pages move to a batch in the staging area, or clean ones are just dropped   (Stager)
//   3 write    dirty pages go to the store in runs of neighbours; all-zero pages do not    (Writeback)
//   4 zone     the batch waits, oldest first; a fault takes its pages back without I/O     (Staging)
//   5 finish   pages that are still staged are evicted for good: the store may keep a
//              compressed copy of one that it has in a file; their frames are free         (BatchFinisher)
//
// It does not decide how many frames there may be (FrameBudget) nor which page is worth keeping (ReplacementPolicy).
#pragma once

#include "core/page_range.hpp"
#include "core/signal_safe.hpp"
#include "pager/core.hpp"
#include "pager/evict/batch_finisher.hpp"
#include "pager/evict/reclaimed.hpp"
#include "pager/evict/stager.hpp"
#include "pager/frame/staging.hpp"
#include "store/write_queue.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace faultline::pager {

/// Signal-safe. The caller is a reader of RegionMap::readers() and has signals blocked.
class Evictor {
public:
    explicit Evictor(PagerCore& core) noexcept : core_{core}, stager_{core}, finisher_{core} {}

    /// Frees about `units`, evicting up to `pages_at_once` pages per batch. `keep_staged` units stay in the zone as a
    /// second chance unless nothing else can leave.
    Reclaimed free_frames(std::int64_t units, std::size_t pages_at_once, std::size_t keep_staged,
                          store::WriteQueue& queue) FAULTLINE_SIGNAL_SAFE;

    /// Evicts what is resident and not pinned in `range`, now.
    Reclaimed evict(Region& region, core::PageRange range, store::WriteQueue& queue) FAULTLINE_SIGNAL_SAFE;

    /// Evicts up to `pages` pages and gives their frames back to the kernel, which is out of memory. It touches no
    /// batch but its own: a fault that is taking a page back may call it.
    Reclaimed make_room(std::size_t pages, store::WriteQueue& queue) FAULTLINE_SIGNAL_SAFE;

    /// Evicts a few of the mapped pages that cost the most mappings; see Mappers::fragmenting_runs.
    Reclaimed evict_fragmenting(store::WriteQueue& queue) FAULTLINE_SIGNAL_SAFE;

    [[nodiscard]] BatchFinisher& finisher() noexcept { return finisher_; }

private:
    Reclaimed evict(std::span<iovec> runs, store::WriteQueue& queue) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] std::size_t claim_from(std::span<iovec>& runs, StagingBatch& batch) FAULTLINE_SIGNAL_SAFE;

    /// Pages that the policy's choice skips.
    enum class Spare : std::uint8_t { nothing, gripped, gripped_and_dirty };
    [[nodiscard]] bool claim(core::PageRef page, Spare spare, std::int64_t& units_left) FAULTLINE_SIGNAL_SAFE;

    struct Victims {
        StagingBatch* batch = nullptr;  ///< Held by the caller; null: none.
        std::size_t count = 0;          ///< Of the claimed pages in its scratch.
    };
    [[nodiscard]] Victims choose(std::size_t pages, Spare spare) FAULTLINE_SIGNAL_SAFE;
    Reclaimed stage_victims(std::size_t pages, CleanPages clean, store::WriteQueue& queue) FAULTLINE_SIGNAL_SAFE;
    Reclaimed drop_clean_victims(std::size_t pages) FAULTLINE_SIGNAL_SAFE;

    PagerCore& core_;
    Stager stager_;
    BatchFinisher finisher_;
};

}  // namespace faultline::pager
