// PageFill: brings in one page and its neighbours, from claim to publish. One object is one fill:
//
//   claim     absent -> filling: the page of a fault, then its neighbours
//   reserve   frames for the page; `claim_neighbours` takes a frame with each neighbour
//   read      the store reads into a private buffer, at once or later (AsyncReader); zeros need no read
//   map       the mapper installs the bytes, neighbours with one call
//   publish   filling -> resident; or, after an error, back to the state before the claim
//
// It does not choose neighbours (ReadAhead), and does not evict (FrameReclaimer).
//
// A fill never unmaps a page that was writable, since the program may have written to it. So of several pages the
// writable one is mapped last.
#pragma once

#include "core/page_fault.hpp"
#include "core/page_word.hpp"
#include "core/signal_safe.hpp"
#include "mmu/mapper.hpp"
#include "pager/core.hpp"
#include "pager/evict/frame_reclaimer.hpp"
#include "pager/evict/room_maker.hpp"
#include "pager/evict/shared_frames.hpp"
#include "pager/fault/buffer_pool.hpp"
#include "pager/fault/faulted_page.hpp"
#include "pager/frame/frame_budget.hpp"
#include "pager/region/page_window.hpp"
#include "store/backing_store.hpp"
#include "store/page_checksum.hpp"
#include "store/read_plan.hpp"

#include <faultline/replacement_policy.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace faultline::pager {

/// What all fills of a pager share.
struct FillContext {
    PagerCore& core;
    FrameReclaimer& reclaimer;
    RoomMaker& room;
    SharedFrames& shared_frames;
    BufferPool& buffers;
};

/// Signal-safe throughout. The caller is a reader of RegionMap::readers() and has signals blocked.
class PageFill {
public:
    /// A fill for a fault. Nothing is claimed yet.
    PageFill(FillContext& context, const FaultedPage& faulted) FAULTLINE_SIGNAL_SAFE;

    /// A fill of pages that no thread has asked for yet. `for_writing`: map them writable where the program may write,
    /// which saves a walk that writes one fault for each page.
    PageFill(FillContext& context, Region& region, bool for_writing) FAULTLINE_SIGNAL_SAFE;

    /// The most pages of `region` that one read brings in: at least 1, at most 64.
    [[nodiscard]] static std::uint64_t most_pages(const Region& region) noexcept;

    // ---- claim and reserve

    enum class Claim : std::uint8_t {
        lost,       ///< The word is not `seen` any more. Nothing is claimed; the caller loads the word again.
        no_frames,  ///< No frame could be had. The page has its state from before, and the fault has failed.
        done,
    };
    /// Claims the page of the fault, whose word is `seen`, and reserves its frames.
    [[nodiscard]] Claim claim_page(core::PageWord seen) FAULTLINE_SIGNAL_SAFE;

    /// Claims the pages of `wanted` that are in state `absent` (stored or empty) and allow `access`, until no frame is
    /// free. Never waits. All pages of a fill are mapped with one protection: with `read_execute` it claims executable
    /// pages only, else no executable page.
    void claim_neighbours(core::PageState absent, PageWindow wanted, Access access) FAULTLINE_SIGNAL_SAFE;

    /// Returns the claimed pages.
    [[nodiscard]] PageWindow window() const noexcept { return window_; }
    [[nodiscard]] Region& region() const noexcept { return *region_; }

    /// The reads of the claimed pages into a buffer for the window and what lies between, neighbours in one.
    struct Reads {
        std::array<store::StoreRead, store::ReadPlan::kMostReads> each;
        std::size_t count = 0;
        [[nodiscard]] std::span<const store::StoreRead> span() const noexcept { return {each.data(), count}; }
    };
    [[nodiscard]] Reads reads_into(std::span<std::byte> buffer) const noexcept;

    /// Returns how the page of the fault comes in: touched for the first time, or how many evictions after its own.
    [[nodiscard]] const Arrival& arrival() const noexcept { return arrival_; }
    /// Maps the neighbours of the faulted page writable, as the constructor for prefetches does with its pages.
    void set_for_writing(bool for_writing) noexcept { for_writing_ = for_writing; }

    // ---- read, map, publish: each ends the fill

    /// Maps the claimed pages, which are empty, as zeros, and publishes them.
    [[nodiscard]] core::FaultOutcome fill_with_zeros() FAULTLINE_SIGNAL_SAFE;

    /// Maps the page with the bytes of another page that has the same in a frame (SharedFrames), and publishes it.
    /// Returns false if no frame has the bytes; then the fill continues.
    [[nodiscard]] bool fill_from_shared_frame() FAULTLINE_SIGNAL_SAFE;

    /// Reads the claimed pages, maps and publishes them.
    core::FaultOutcome fill_from_store() FAULTLINE_SIGNAL_SAFE;

    /// The same, after another thread has read the window's bytes from the store. `bytes` empty: that read was short or
    /// failed, and this reads again.
    void finish(std::span<const std::byte> bytes) FAULTLINE_SIGNAL_SAFE;

private:
    void begin_miss(core::PageWord seen) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] bool counts_miss() const noexcept { return started_.count() != 0; }
    void end_miss() const FAULTLINE_SIGNAL_SAFE;
    void watch_for_thrashing() const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] int read_and_map() FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] int map(std::span<const std::byte> bytes) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] int map_runs(std::uint64_t mask, std::span<const std::byte> bytes,
                               mmu::Protection protection) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] int read_and_map_in_pieces(std::span<std::byte> buffer) FAULTLINE_SIGNAL_SAFE;
    core::FaultOutcome complete(int error) FAULTLINE_SIGNAL_SAFE;
    void publish_ahead(PageWindow pages) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] PageWindow make_writable(PageWindow pages) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] bool will_be_written(core::PageWord seen) const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] bool may_leave_store() const FAULTLINE_SIGNAL_SAFE;
    void publish_faulted() FAULTLINE_SIGNAL_SAFE;
    void publish(std::uint64_t page, bool dirty, const Arrival& arrival) FAULTLINE_SIGNAL_SAFE;
    void abandon(PageWindow pages, core::PageState absent) FAULTLINE_SIGNAL_SAFE;
    core::FaultOutcome give_up(core::PageState back_to, Event::Kind reason, int error) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] std::uint64_t writable() const FAULTLINE_SIGNAL_SAFE {
        if (!faulted_) return 0;
        return expects_write_ ? window_.bit_of(faulted_->page) : faulted_->writable_in(window_);
    }

    FillContext* context_;
    Region* region_;
    std::optional<FaultedPage> faulted_;  // none: no thread has asked for the pages
    PageWindow window_{};                 // that are claimed
    Arrival arrival_{};                   // of the page of the fault
    FrameReservation frames_;
    std::chrono::nanoseconds started_{};  // of a fault that MissRecord counts; 0: it does not
    std::chrono::nanoseconds had_frame_{};
    bool from_disk_ = false;          // such a fault reads the disk
    store::PageChecksum checksum_{};  // of the page of the fault, if `expects_write_`
    bool for_writing_ = false;
    bool expects_write_ = false;  // the fault is a read, but its page comes in writable
    bool leaves_store_ = false;   // the page of the fault comes in writable, and the store gives up its bytes
};

/// Whether a page that comes in is as in the store.
struct PageBytes {
    bool dirty = false;  ///< The page is writable.
    /// The checksum of its bytes in the store, if it is dirty only maybe.
    const store::PageChecksum* stored = nullptr;
    bool left_store = false;  ///< The store has given up the bytes.
};

/// filling -> resident: gives the page one of `frames`. The caller has mapped the page.
void publish_page(FillContext& context, Region& region, std::uint64_t page, const PageBytes& bytes,
                  const Arrival& arrival, FrameReservation& frames) FAULTLINE_SIGNAL_SAFE;

/// Unmaps a page that the caller owns and frees its frame. Removes the kernel's poison, too.
void unmap_page(Region& region, std::uint64_t page) FAULTLINE_SIGNAL_SAFE;

}  // namespace faultline::pager
