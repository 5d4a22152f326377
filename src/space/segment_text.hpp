// Segments as text, in the format of /proc/PID/maps and smaps. It formats what AddressSpace::segments and usage return,
// and looks at no page itself. Used by AddressSpace::maps and smaps, and by Explanation::text.
#pragma once

#include <faultline/segment_info.hpp>

#include <string>

namespace faultline::space {

/// Returns the permissions, like "rw-p".
[[nodiscard]] std::string permissions_of(const SegmentInfo& segment);

/// Returns the text for the path column: a path, "[heap]", or empty for an unnamed mapping.
[[nodiscard]] std::string label_of(const SegmentInfo& segment);

/// Returns one line of maps, with its newline.
[[nodiscard]] std::string maps_line(const SegmentInfo& segment);

/// Returns the lines that follow it in smaps.
[[nodiscard]] std::string usage_lines(const SegmentInfo& segment, const SegmentUsage& usage);

}  // namespace faultline::space
