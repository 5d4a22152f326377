// The usage of a range of a space: its pages, counted by where their bytes are. Pages may change state before the
// caller reads the result.
#pragma once

#include "space/arenas.hpp"

#include <faultline/segment_info.hpp>

namespace faultline::space {

/// Returns all zeros if the range is in no arena.
[[nodiscard]] SegmentUsage usage_of(const Arenas& arenas, AddressRange range);

}  // namespace faultline::space
