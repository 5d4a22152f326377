// Evictor: takes pages off the program's view and gives their frames back. The same road for the background thread, for
// a faulting thread that finds no frame, and for pages evicted by name:
//
// clang-format off
//   1 choose   the policy picks; each page's word goes from resident to evicting
//   2 stage    the mapper moves pages to a batch in the staging area (a clean one that nobody wants back just goes)
//   3 write    dirty pages go to the store in runs of neighbours; all-zero pages go nowhere
//   4 zone     the batch waits, oldest first; a fault on one of its pages takes it back without I/O
//   5 settle   what is still there is evicted for good, and the frames are free
// clang-format on
//
// It does not decide how many frames there may be (FrameBudget) nor which page is worth keeping (ReplacementPolicy).
#pragma once

#include "core/page_range.hpp"
#include "core/signal_safe.hpp"
#include "mmu/mapper.hpp"
#include "pager/event_log.hpp"
#include "pager/frame_budget.hpp"
#include "pager/frame_table.hpp"
#include "pager/progress_guard.hpp"
#include "pager/region.hpp"
#include "pager/region_directory.hpp"
#include "pager/staging.hpp"
#include "store/write_queue.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace faultline::detail {

/// What an attempt to free frames came to.
struct Reclaimed {
    std::int64_t units = 0;  ///< Released to the budget.
    bool progress = false;   ///< Something left, if only for the zone: trying again may free more.
    bool refused = false;    ///< The kernel holds pages for a moment, and does not say when it lets go.
    int write_error = 0;     ///< The store refused pages, which therefore still hold their frames.

    Reclaimed& operator+=(const Reclaimed& other) noexcept {
        units += other.units;
        progress |= other.progress;
        refused |= other.refused;
        if (other.write_error != 0) write_error = other.write_error;
        return *this;
    }
};

/// Signal-safe throughout. The caller is a reader of RegionTree::readers() and has signals blocked.
class Evictor {
public:
    Evictor(mmu::Mapper& mapper, FrameBudget& budget, FrameTable& frames, Staging& staging, RegionDirectory& regions,
            ProgressGuard& guard, EventLog& log) noexcept
        : mapper_{mapper},
          budget_{budget},
          frames_{frames},
          staging_{staging},
          regions_{regions},
          guard_{guard},
          log_{log} {}

    /// Frees about `units`, evicting up to `pages_at_once` pages per batch, while `keep_staged` units stay in the zone
    /// as second chance unless nothing else can leave.
    Reclaimed free_frames(std::int64_t units, std::size_t pages_at_once, std::size_t keep_staged,
                          store::WriteQueue& queue) FAULTLINE_SIGNAL_SAFE;

    /// Evicts what is resident and not pinned in `range`, now.
    Reclaimed evict(Region& region, core::PageRange range, store::WriteQueue& queue) FAULTLINE_SIGNAL_SAFE;

    /// Evicts up to `pages` pages and gives their frames back to the kernel, which is out of memory. Touches no batch
    /// but its own: a fault that is taking a page back may call it.
    Reclaimed make_room(std::size_t pages, store::WriteQueue& queue) FAULTLINE_SIGNAL_SAFE;

    /// Evicts a few pages whose being mapped costs the most mappings; see Mapper::fragmenting_runs.
    Reclaimed evict_fragmenting(store::WriteQueue& queue) FAULTLINE_SIGNAL_SAFE;

    /// Settles every batch in the zone. Returns 0, or the error of pages that the store refuses, which stay.
    [[nodiscard]] int settle_all(store::WriteQueue& queue) FAULTLINE_SIGNAL_SAFE;

    /// Writes what is dirty in `range` and leaves it where it is: clean, unless it is pinned, for then devices may
    /// write to it. The caller sees to it that no fault is under way. Returns 0 or an error.
    [[nodiscard]] int clean(Region& region, core::PageRange range, store::WriteQueue& queue) FAULTLINE_SIGNAL_SAFE;

    /// Frees the frames of batches whose regions are gone.
    void settle_forgotten() FAULTLINE_SIGNAL_SAFE;

    /// How many evictions there have been: the clock of refault distances.
    [[nodiscard]] std::uint32_t sequence() const noexcept { return sequence_.load(std::memory_order_relaxed); }

    /// Counts an eviction: of a page that leaves now.
    [[nodiscard]] core::Departure next_departure(std::uint8_t policy_tag) FAULTLINE_SIGNAL_SAFE {
        return core::Departure::after(sequence_.fetch_add(1, std::memory_order_relaxed), policy_tag);
    }

    /// How a page with this payload, which is `stored`, comes in again.
    [[nodiscard]] static policy::Arrival hard_arrival(std::uint32_t payload, std::uint32_t now) noexcept {
        const core::Departure left = core::Departure::from(payload);
        return {policy::Arrival::Kind::hard_fault, left.evictions_until(now), left.tag()};
    }

private:
    Reclaimed evict(std::span<iovec> runs, store::WriteQueue& queue) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] std::size_t claim_from(std::span<iovec>& runs, StagingBatch& batch) FAULTLINE_SIGNAL_SAFE;
    enum class Spare : std::uint8_t { nothing, gripped, gripped_and_dirty };
    [[nodiscard]] bool claim(core::PageRef page, Spare spare, std::int64_t& units_left) FAULTLINE_SIGNAL_SAFE;

    struct Victims {
        StagingBatch* batch = nullptr;  ///< Now the caller's; null: none.
        std::size_t count = 0;          ///< Of the claimed pages in its scratch.
    };
    [[nodiscard]] Victims choose_victims(std::size_t pages) FAULTLINE_SIGNAL_SAFE;
    Reclaimed stage_victims(std::size_t pages, bool wanted_back, store::WriteQueue& queue) FAULTLINE_SIGNAL_SAFE;
    Reclaimed drop_clean_victims(std::size_t pages) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] std::size_t put_back_dirty(std::span<ChosenPage> chosen) FAULTLINE_SIGNAL_SAFE;
    Reclaimed take_off_view(StagingBatch& batch, std::size_t count, bool wanted_back) FAULTLINE_SIGNAL_SAFE;
    Reclaimed stage_run(StagingBatch& batch, std::size_t first, std::size_t end, bool dirty) FAULTLINE_SIGNAL_SAFE;
    std::int64_t drop_refused(const ChosenPage& chosen, StagingUnit unit) FAULTLINE_SIGNAL_SAFE;
    void let_clean_page_go(const ChosenPage& gone) FAULTLINE_SIGNAL_SAFE;
    std::int64_t drop_clean(StagingBatch& batch, std::size_t count) FAULTLINE_SIGNAL_SAFE;
    void refuse(const ChosenPage& chosen) FAULTLINE_SIGNAL_SAFE;

    int write_back(StagingBatch& batch, store::WriteQueue& queue) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] const std::byte* staged_bytes(const Region& region, const StagingBatch& batch,
                                                std::size_t entry) FAULTLINE_SIGNAL_SAFE;
    bool begin_write(StagingBatch& batch, std::size_t entry) FAULTLINE_SIGNAL_SAFE;
    /// Writes gathered from a batch, and the error of pages whose bytes could not be read.
    struct Runs {
        std::size_t count = 0;
        int error = 0;
    };
    template <typename BytesOf, typename Finish>
    Runs gather_runs(StagingBatch& batch, BytesOf bytes_of, Finish finish) FAULTLINE_SIGNAL_SAFE;
    template <typename Finish>
    int write_runs(StagingBatch& batch, std::size_t runs, store::WriteQueue& queue,
                   Finish finish) FAULTLINE_SIGNAL_SAFE;
    std::size_t claim_dirty(Region& region, core::PageRange& range, StagingBatch& batch) FAULTLINE_SIGNAL_SAFE;
    int forbid_writes(Region& region, StagingBatch& batch) FAULTLINE_SIGNAL_SAFE;
    void finish_cleaning(StagingBatch& batch, std::size_t entry, int error, bool all_zero) FAULTLINE_SIGNAL_SAFE;
    void finish_write(StagingBatch& batch, std::size_t entry, int error, bool all_zero) FAULTLINE_SIGNAL_SAFE;

    /// What to do where another thread still writes an older version of all that is left of a batch.
    enum class WriteInFlight : std::uint8_t { leave, wait };
    Reclaimed settle(StagingBatch& batch, store::WriteQueue& queue,
                     WriteInFlight write_in_flight = WriteInFlight::leave) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] Leaving claim_to_leave(StagingBatch& batch, std::size_t entry) FAULTLINE_SIGNAL_SAFE;
    std::int64_t drop_frames(StagingBatch& batch) FAULTLINE_SIGNAL_SAFE;
    void wait_for_write(const StagingBatch& batch) FAULTLINE_SIGNAL_SAFE;
    void let_staged_page_go(StagingBatch& batch, std::size_t entry) FAULTLINE_SIGNAL_SAFE;

    mmu::Mapper& mapper_;
    FrameBudget& budget_;
    FrameTable& frames_;
    Staging& staging_;
    RegionDirectory& regions_;
    ProgressGuard& guard_;
    EventLog& log_;
    std::atomic<std::uint32_t> sequence_{0};
};

}  // namespace faultline::detail
