// Segments as text: the lines of /proc/PID/maps and smaps.
#pragma once

#include <faultline/segment_info.hpp>

#include <string>

namespace faultline::space {

/// "rw-p": what may be done, and whether it is shared.
[[nodiscard]] std::string permissions_of(const SegmentInfo& segment);

/// What stands where the kernel has the path or "[heap]"; empty for a mapping without a name.
[[nodiscard]] std::string label_of(const SegmentInfo& segment);

/// One line of maps, with its end.
[[nodiscard]] std::string maps_line(const SegmentInfo& segment);

/// The lines that smaps has after that.
[[nodiscard]] std::string usage_lines(const SegmentInfo& segment, const SegmentUsage& usage);

}  // namespace faultline::space
