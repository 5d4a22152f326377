// Counts the pages of a range by state, in cells of about equally many pages. The handles' `residency` functions call
// it. It reads page words only: it takes no lock and makes no page resident.
#pragma once

#include "core/page_range.hpp"

#include <faultline/stats.hpp>

#include <span>

namespace faultline::pager {

class Region;

/// Returns how many bytes of `pages` are in which state. Each page is counted as it was at some moment of the call.
[[nodiscard]] ResidencyCell residency_of(const Region& region, core::PageRange pages) noexcept;

/// Divides `pages` into `cells.size()` parts and fills in each cell, in bytes. Each page is counted as it was at some
/// moment of the call.
void look_at_residency(const Region& region, core::PageRange pages, std::span<ResidencyCell> cells) noexcept;

}  // namespace faultline::pager
