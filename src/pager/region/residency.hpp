// Where the pages of a range are, in cells of about equally many pages: what residency maps are drawn from. Looks at
// page words only, and takes no lock.
#pragma once

#include "core/page_range.hpp"

#include <faultline/stats.hpp>

#include <span>

namespace faultline::pager {

class Region;

/// Each page as it was at some moment of the call.
void look_at_residency(const Region& region, core::PageRange pages, std::span<ResidencyCell> cells) noexcept;

}  // namespace faultline::pager
