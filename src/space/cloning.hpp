// Clones of a space: the same segments at other addresses. Space and clone share each page's bytes until one of them
// writes to it. See SegmentStore for the sharing.
#pragma once

#include "space/mapped_segments.hpp"

namespace faultline::space {

/// Opens the segments of `source` in `clone`, which is empty, and copies the contents. The program does not know the
/// clone's addresses yet. Throws std::system_error; then `source` is unchanged, and the caller destroys `clone`.
void clone_segments(pager::Pager& pager, const MappedSegments& source, MappedSegments& clone);

}  // namespace faultline::space
