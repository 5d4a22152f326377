// ViewMapper: maps and unmaps views of shared regions. A shared region is one set of pages that the program sees in
// views, which lie in regions with gaps. Order: a view is mapped before it is listed (ViewRegistry). Before it is
// unmapped, it is removed from the list, and no thread uses it any more.
#pragma once

#include "core/page_range.hpp"
#include "pager/control/discarder.hpp"
#include "pager/control/page_advice.hpp"
#include "pager/core.hpp"
#include "pager/evict/evictor.hpp"
#include "pager/evict/room_maker.hpp"

#include <cstdint>
#include <vector>

namespace faultline::pager {

/// Pages of a region, and where the program sees them.
struct PageRun {
    Region* region;
    core::PageRange pages;
    std::uintptr_t seen_at;
};

/// Control path, in the process that owns the pager. The caller serialises calls on the views of one shared region, and
/// on those in one region with gaps.
class ViewMapper {
public:
    ViewMapper(PagerCore& core, Evictor& evictor, RoomMaker& room, Discarder& discarder, PageAdvice& advice) noexcept
        : core_{core}, evictor_{evictor}, room_{room}, discarder_{discarder}, advice_{advice} {}

    /// Returns true if this kernel can map shared regions. Throws std::system_error (EMFILE).
    [[nodiscard]] bool can_share();

    /// Lets the program use pages of `shared`, from `first` on, in a closed range of `region`. Throws std::system_error
    /// (ENOMEM) at vm.max_map_count, and then all is as before.
    void map(Region& region, core::PageRange range, Region& shared, std::uint64_t first, Access access);

    /// Unmaps the views in the range. Pages that no other view maps are written to their store first and are then
    /// forgotten. Throws EBUSY when one is pinned here, EIO when not all could be written, ENOMEM: then all is as
    /// before, with access `access`.
    void unmap(Region& region, core::PageRange range, Access access);

    /// Changes the access of the views in the range, where mappings carry it (Mapper::maps_access_by_page).
    void set_access(Region& region, core::PageRange range, Access access);

    /// Removes the views in the range from the list. No later fault finds one.
    void forget(const Region& region, core::PageRange range);

    /// Returns the pages that a range maps: of `region` itself, or of shared regions. Valid as long as the views exist.
    [[nodiscard]] std::vector<PageRun> runs_of(Region& region, core::PageRange range) const;

    /// Writes the dirty pages of a range to their store, and evicts them. Returns 0, EBUSY if a page is pinned or held
    /// by the kernel, or the store's error. Pages that the program writes to meanwhile may be dirty again.
    [[nodiscard]] int write_out(Region& region, core::PageRange range);

private:
    void close(Region& region, core::PageRange range);
    [[nodiscard]] std::vector<core::AddressRange> write_pages_seen_only_in(core::AddressRange span);
    void remap(Region& shared, core::PageRange range);

    PagerCore& core_;
    Evictor& evictor_;
    RoomMaker& room_;
    Discarder& discarder_;
    PageAdvice& advice_;
};

}  // namespace faultline::pager
