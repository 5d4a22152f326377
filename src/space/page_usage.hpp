// The usage and the residency of a range of a space: its pages, counted by where their bytes are. Pages may change
// state before the caller reads the result.
#pragma once

#include "space/arenas.hpp"

#include <faultline/segment_info.hpp>
#include <faultline/stats.hpp>

#include <span>

namespace faultline::space {

/// Returns all zeros if the range is in no arena.
[[nodiscard]] SegmentUsage usage_of(const Arenas& arenas, AddressRange range);

/// Divides a range of whole pages into `cells.size()` parts and fills in each cell. Throws EINVAL if the range is in no
/// arena.
void fill_residency(const Arenas& arenas, AddressRange range, std::span<ResidencyCell> cells);

}  // namespace faultline::space
