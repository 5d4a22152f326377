// Protector: changes what the program may do with ranges of pages, and places guards.
#pragma once

#include "core/page_range.hpp"
#include "pager/control/view_mapper.hpp"
#include "pager/core.hpp"
#include "pager/evict/evictor.hpp"
#include "pager/evict/room_maker.hpp"

namespace faultline::pager {

/// Control path, in the process that owns the pager.
class Protector {
public:
    Protector(PagerCore& core, Evictor& evictor, RoomMaker& room, ViewMapper& view_mapper) noexcept
        : core_{core}, evictor_{evictor}, room_{room}, view_mapper_{view_mapper} {}

    /// Throws std::system_error: EBUSY when `access` is none and a page is pinned; ENOMEM at vm.max_map_count, and then
    /// the range is read_write.
    void protect(Region& region, core::PageRange range, Access access);

    /// Closes pages for as long as the region lives: any access raises SIGSEGV. Costs no mappings where the kernel has
    /// guard markers (Linux 6.13), nor under Delivery::sigsegv. Throws as `protect`.
    void guard(Region& region, core::PageRange range);

private:
    void set_mapped_access(Region& region, core::PageRange range, Access access, bool executable);
    void remap_pages(Region& region, core::PageRange range, Access access, bool executable);
    void evict_all(Region& region, core::PageRange range);

    PagerCore& core_;
    Evictor& evictor_;
    RoomMaker& room_;
    ViewMapper& view_mapper_;
};

/// Changes the protection in the words of a range.
void set_protection(const Region& region, core::PageRange range, Access access);

}  // namespace faultline::pager
