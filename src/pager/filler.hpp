// Filler: brings pages in that the caller owns or lets it claim: stored -> filling, read, map, filling -> resident. It
// does not decide which pages (Pager, policy), nor find frames where there are none (Pager::reserve_frames).
//
//   Nothing that the program could write to is ever taken away again: of several pages the writable one is mapped last.
#pragma once

#include "core/signal_safe.hpp"
#include "mmu/mapper.hpp"
#include "pager/buffer_pool.hpp"
#include "pager/evictor.hpp"
#include "pager/frame_budget.hpp"
#include "pager/frame_table.hpp"
#include "pager/page_window.hpp"
#include "pager/region.hpp"
#include "pager/shared_frames.hpp"
#include "sys/transient.hpp"

#include <cerrno>
#include <cstdint>
#include <span>

namespace faultline::detail {

/// Signal-safe throughout. The caller is a reader of RegionTree::readers() and has signals blocked.
class Filler {
public:
    Filler(mmu::Mapper& mapper, FrameBudget& budget, FrameTable& frames, Evictor& evictor,
           SharedFrames& shared_frames) noexcept
        : mapper_{mapper}, budget_{budget}, frames_{frames}, evictor_{evictor}, shared_frames_{shared_frames} {}

    /// How many pages of `region` can come in with one read: at least 1, at most 64.
    [[nodiscard]] static std::uint64_t most_at_once(const Region& region) noexcept;

    /// Claims those of the pages `wanted` that are `absent` so (stored or empty) and that the program may use for
    /// `access`, as far as frames are free, adding the frames to `frames`. Returns those claimed. Never waits. Only for
    /// `read_execute` does it claim executable pages, and then no others: they are mapped in one way.
    [[nodiscard]] PageWindow claim(Region& region, core::PageState absent, PageWindow wanted, Access access,
                                   FrameReservation& frames) FAULTLINE_SIGNAL_SAFE;

    /// Claimed pages that will not be filled go back: stored or empty -> filling -> `absent`.
    void abandon(Region& region, PageWindow window, core::PageState absent) FAULTLINE_SIGNAL_SAFE;

    /// Reads claimed pages into a private buffer and maps them, those of the mask `writable` so that the program may
    /// write to them; the caller publishes. Returns 0 or an errno: then none of them is mapped. A window of several
    /// pages is read at once, with what lies between its pages.
    [[nodiscard]] int read_and_map(Region& region, PageWindow window, std::uint64_t writable) FAULTLINE_SIGNAL_SAFE;

    /// The second half: `bytes` are the window's, as they stand in the store.
    [[nodiscard]] int map(Region& region, PageWindow window, std::uint64_t writable,
                          std::span<const std::byte> bytes) FAULTLINE_SIGNAL_SAFE;

    /// Forgets what is mapped of a page that the caller owns, poison too.
    void unmap(Region& region, std::uint64_t page) FAULTLINE_SIGNAL_SAFE;

    /// filling -> resident: one of the frames reserved is the page's now.
    void publish(Region& region, std::uint64_t page, bool dirty, const policy::Arrival& arrival,
                 FrameReservation& frames) FAULTLINE_SIGNAL_SAFE;

    /// The same for pages that nobody has asked for yet. `for_writing`: those that the program may write
    /// to count as written to, and are mapped so, which saves a walk that writes a fault for each of them.
    void publish_read_ahead(Region& region, PageWindow window, bool for_writing,
                            FrameReservation& frames) FAULTLINE_SIGNAL_SAFE;

    /// Repeats a call that the kernel refuses: for lack of mappings, after hiding pages that take many; for lack of
    /// memory, after evicting a few pages; for another reason that passes, after a pause. Returns 0, or the error that
    /// stays. A call that fails leaves all as it was.
    template <typename Call>
    [[nodiscard]] int with_room(Call call) FAULTLINE_SIGNAL_SAFE {
        sys::TransientWait wait{"mapping a page"};
        for (int tries = 0;; ++tries) {
            const int error = call();
            if (error == 0) return 0;
            const bool gives = error == ENOMEM && tries < kMostTries;
            if (gives && mapper_.short_of_mappings() && give_mappings_back()) continue;
            if (gives) make_room();
            if ((error != ENOMEM && error != EBUSY) || !wait.again(error)) return error;
        }
    }
    /// Hides pages that take many mappings, if the process is short of them.
    void spare_mappings() FAULTLINE_SIGNAL_SAFE {
        if (mapper_.short_of_mappings()) give_mappings_back();
    }

    [[nodiscard]] BufferPool& buffers() noexcept { return buffers_; }

private:
    static constexpr int kMostTries = 8;

    bool give_mappings_back() FAULTLINE_SIGNAL_SAFE;
    void make_room() FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] PageWindow open(Region& region, PageWindow window) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] int map_runs(Region& region, PageWindow window, std::uint64_t mask, std::span<const std::byte> bytes,
                               mmu::Protection protection) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] int read_and_map_in_pieces(Region& region, std::uint64_t page, bool writable,
                                             std::span<std::byte> buffer) FAULTLINE_SIGNAL_SAFE;

    mmu::Mapper& mapper_;
    FrameBudget& budget_;
    FrameTable& frames_;
    Evictor& evictor_;
    SharedFrames& shared_frames_;
    BufferPool buffers_;
};

}  // namespace faultline::detail
