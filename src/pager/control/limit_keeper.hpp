// LimitKeeper: sets the resident limit and the figures that follow from it (LimitFigures).
#pragma once

#include "pager/control/pin_ledger.hpp"
#include "pager/core.hpp"
#include "pager/evict/frame_reclaimer.hpp"

#include <cstddef>
#include <cstdint>

namespace faultline::pager {

class LimitKeeper {
public:
    LimitKeeper(PagerCore& core, FrameReclaimer& reclaimer, PinLedger& pins) noexcept
        : core_{core}, reclaimer_{reclaimer}, pins_{pins} {}

    /// Changes the limit to `bytes`, evicting what is beyond it. Throws std::system_error: EINVAL (too small for the
    /// pages in use), EBUSY (pins hold too much), or the store's error when it does not
    /// take what would have to leave; then the limit is as before.
    void set(std::size_t bytes);

    /// Sets what follows from a limit of `bytes` with pages of up to `largest_page` bytes. The caller has
    /// PagerCore::control. Signals are blocked meanwhile.
    void apply(std::size_t bytes, std::size_t largest_page);

    /// An estimate of how many bytes more of `region` memory and store can hold if the program touches all of the
    /// `promised` bytes; too low where other processes do not fill the disk. Takes no lock of the pager.
    [[nodiscard]] std::uint64_t room_for(const Region& region, std::uint64_t promised) noexcept;

private:
    void shrink_to(std::size_t bytes);

    PagerCore& core_;
    FrameReclaimer& reclaimer_;
    PinLedger& pins_;
};

/// Throws EINVAL when the limit cannot hold Pager::kMinimumPages pages of `largest` bytes.
void require_room_for_pages(const PagerCore& core, std::size_t largest);

}  // namespace faultline::pager
