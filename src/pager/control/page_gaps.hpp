// PageGaps: opens and closes pages of regions with gaps, which begin without any page that the program may use. The
// caller serialises these calls, for each region, with one another and with Protector::protect.
#pragma once

#include "core/page_range.hpp"
#include "pager/control/discarder.hpp"
#include "pager/core.hpp"

namespace faultline::pager {

/// Control path, in the process that owns the pager.
class PageGaps {
public:
    PageGaps(PagerCore& core, Discarder& discarder) noexcept : core_{core}, discarder_{discarder} {}

    /// Lets the program use pages that are closed, and so empty: `access` is not `none`. Throws std::system_error
    /// (ENOMEM) at vm.max_map_count, and then they are closed as before.
    void open(Region& region, core::PageRange range, Access access);

    /// Closes pages and discards their contents. Throws EBUSY when one is pinned, ENOMEM at vm.max_map_count: then all
    /// stay as they were.
    void close(Region& region, core::PageRange range);

    // ---- Windows (RegionPlan::window)

    /// Maps closed pages of a window, in place of what is mapped there, and opens them: `access` is not `none`. Throws
    /// std::system_error; then nothing is mapped in the range.
    void map(Region& region, core::PageRange range, Access access);

    /// Discards pages of a window, all of which are open, and unmaps them. Throws EBUSY when one is pinned: then all
    /// stay as they were. Throws ENOMEM at vm.max_map_count: then they stay open, as zeros.
    void release(Region& region, core::PageRange range);

private:
    PagerCore& core_;
    Discarder& discarder_;
};

/// Takes away all access to a range in which nothing is mapped. Where the pager answers forbidden accesses, the set of
/// open pages does that. Throws std::system_error.
void close_mapping(const Region& region, core::PageRange range);

}  // namespace faultline::pager
