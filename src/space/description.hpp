// Descriptions of a space: segments, usage, the explanation of an address, the cost of page tables. They change
// nothing. Pages may change state before the caller reads the result. The caller keeps the segments from changing.
#pragma once

#include "space/mapped_segments.hpp"

#include <faultline/segment_info.hpp>

#include <cstdint>
#include <vector>

namespace faultline::space {

/// Describes all segments but guards.
[[nodiscard]] std::vector<SegmentInfo> describe_all(const MappedSegments& segments);

/// Like AddressSpace::explain.
[[nodiscard]] Explanation explain(const MappedSegments& segments, std::uintptr_t address);

/// Like AddressSpace::table_cost.
[[nodiscard]] TableCost table_cost(const MappedSegments& segments);

}  // namespace faultline::space
