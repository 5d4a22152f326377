// Discarder: discards the contents of pages. It gives frames back to the budget and slots to the store. Afterwards the
// pages are empty.
#pragma once

#include "core/page_range.hpp"
#include "pager/core.hpp"
#include "pager/evict/room_maker.hpp"

#include <cstdint>

namespace faultline::pager {

/// What a discard does with space on disks.
enum class DiskSpace : std::uint8_t {
    give_back,
    keep,  ///< May keep the space until the region is destroyed, where that is faster.
};

/// Control path, in the process that owns the pager.
class Discarder {
public:
    Discarder(PagerCore& core, RoomMaker& room) noexcept : core_{core}, room_{room} {}

    /// Discards the range. Throws std::system_error (EBUSY) if pages are pinned; those keep their contents.
    void discard(Region& region, core::PageRange range, DiskSpace space = DiskSpace::give_back);

    /// Marks empty pages as stored: the store has bytes for them, which the first access reads.
    void expect_in_store(Region& region, core::PageRange range);

    /// Discards the range; the next access reads what the store had before. An access meanwhile may find zeros.
    void discard_to_store(Region& region, core::PageRange range);

    /// Blocks until no write of pages of the range is in flight: a write of older bytes must not land in the store
    /// after newer ones are there.
    void wait_for_writes(const Region& region, core::PageRange range);

    /// Removes all pages of a region from the evictor's reach, and frees all its frames. No fault finds the region any
    /// more. The caller is a reader and has signals blocked.
    void forget_all(Region& region);

private:
    [[nodiscard]] bool discard_piece(Region& region, core::PageRange range, DiskSpace space);

    PagerCore& core_;
    RoomMaker& room_;
};

}  // namespace faultline::pager
