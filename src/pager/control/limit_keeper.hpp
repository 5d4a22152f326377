// LimitKeeper: sets the resident limit, or the limit of all memory, for the program.
#pragma once

#include "pager/control/pin_ledger.hpp"
#include "pager/core.hpp"
#include "pager/evict/frame_limit.hpp"
#include "pager/evict/frame_reclaimer.hpp"
#include "pager/evict/split_keeper.hpp"

#include <cstddef>
#include <cstdint>

namespace faultline::pager {

class LimitKeeper {
public:
    LimitKeeper(PagerCore& core, FrameLimit& frames, SplitKeeper& split, FrameReclaimer& reclaimer,
                PinLedger& pins) noexcept
        : core_{core}, frames_{frames}, split_{split}, reclaimer_{reclaimer}, pins_{pins} {}

    /// Sets the limits of the configuration. Called once, before there is a region.
    void begin();

    /// Changes the resident limit to `bytes`, evicting what is beyond it. Throws std::system_error: EINVAL (too small
    /// for the pages in use, or the pager has a memory limit), EBUSY (pins hold too much), or the store's error when it
    /// does not take what would have to leave; then the limit is as before.
    void set(std::size_t bytes);

    /// The same for the memory limit: evicts, and spills compressed pages, until all memory fits. EINVAL also means
    /// that the pager has none.
    void set_memory(std::size_t bytes);
    [[nodiscard]] const SplitKeeper& split() const noexcept { return split_; }

    /// Throws EINVAL when the limit cannot hold Pager::kMinimumPages pages of `largest` bytes.
    void require_room_for_pages(std::size_t largest) const;

    /// Tells it the size of the largest page in use, in bytes. The caller has PagerCore::control.
    void set_largest_page(std::size_t bytes);

    /// An estimate of how many bytes more of `region` memory and store can hold if the program touches all of the
    /// `promised` bytes; too low where other processes do not fill the disk. Takes no lock of the pager.
    [[nodiscard]] std::uint64_t room_for(const Region& region, std::uint64_t promised) noexcept;

private:
    void check(const char* name, std::size_t& bytes);
    void shrink_to(std::size_t bytes);
    [[nodiscard]] int fit_memory();

    PagerCore& core_;
    FrameLimit& frames_;
    SplitKeeper& split_;
    FrameReclaimer& reclaimer_;
    PinLedger& pins_;
};

}  // namespace faultline::pager
