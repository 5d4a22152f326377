// SharedFrames: pages of several regions whose bytes are one copy in a store (store::SharedBytes) take one frame
// between them. It goes to whoever needs it next: a frame is visible at one address at a time. Which bytes are shared,
// the stores know, and where they were last seen; this looks whether they still are there, and takes them.
#pragma once

#include "core/signal_safe.hpp"
#include "mmu/mapper.hpp"
#include "pager/evictor.hpp"
#include "pager/frame_budget.hpp"
#include "pager/frame_table.hpp"
#include "pager/progress_guard.hpp"
#include "pager/region.hpp"
#include "pager/region_directory.hpp"

#include <cstdint>
#include <optional>

namespace faultline::detail {

/// Signal-safe throughout. The caller is a reader of RegionTree::readers() and has signals blocked.
class SharedFrames {
public:
    SharedFrames(mmu::Mapper& mapper, FrameBudget& budget, FrameTable& frames, RegionDirectory& regions,
                 Evictor& evictor) noexcept
        : mapper_{mapper}, budget_{budget}, frames_{frames}, regions_{regions}, evictor_{evictor} {}

    /// The page, which is mapped and clean, has its bytes in a frame.
    void note(const Region& region, std::uint64_t page) const FAULTLINE_SIGNAL_SAFE;

    /// Whether a frame has what the store has of an absent page.
    [[nodiscard]] bool has(const Region& region, std::uint64_t page) const FAULTLINE_SIGNAL_SAFE;

    /// Maps the page, which the caller owns, and for which it has a frame, with the bytes of another that has the same.
    /// The other goes, and its frame is free, unless `for_writing` makes them two versions, or `thread` got both a
    /// moment ago: one instruction may need them, and would fault for ever. False: no frame has them, and nothing
    /// changed.
    [[nodiscard]] bool take(const Region& region, std::uint64_t page, bool for_writing,
                            std::uint64_t thread) FAULTLINE_SIGNAL_SAFE;

private:
    struct Found {
        const Region& region;
        std::uint64_t page;
        core::PageWord word;
    };
    [[nodiscard]] std::optional<Found> find(const Region& region, std::uint64_t page,
                                            const store::SharedBytes& bytes) const FAULTLINE_SIGNAL_SAFE;

    mmu::Mapper& mapper_;
    FrameBudget& budget_;
    FrameTable& frames_;
    RegionDirectory& regions_;
    Evictor& evictor_;
    ProgressGuard lately_;  // of faults on shared pages only; nobody has its grip looked at
};

}  // namespace faultline::detail
