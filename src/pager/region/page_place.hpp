// PagePlace: a page, and the view through which a program reached it. A view is a range of a region with gaps that
// maps pages of a shared region (mmu/shared_views.hpp).
#pragma once

#include "pager/region/region.hpp"

#include <cstdint>

namespace faultline::pager {

struct PagePlace {
    Region& region;  ///< The region that holds the page.
    std::uint64_t page;
    const Region* view = nullptr;  ///< The region of the view; null: the page was reached at its own address.
    std::uint64_t view_page = 0;

    /// Returns what the program may do with the page, whose word is `seen`.
    [[nodiscard]] Access access(core::PageWord seen) const FAULTLINE_SIGNAL_SAFE {
        return view != nullptr ? view->load(view_page).protection() : region.access_to(page, seen);
    }
};

}  // namespace faultline::pager
