// MappedSegments: the segments of a space, their published index and the pages in the arenas, changed together in the
// right order. An addition inserts the segment, publishes the index to the fault path, and opens the pages. A removal
// closes the pages first (but see remove_shared). It does not decide where segments go: ProgramBreak, MappingArea and
// Space do.
#pragma once

#include "space/arenas.hpp"
#include "space/segment.hpp"
#include "space/segment_index.hpp"
#include "sys/published.hpp"

#include <faultline/types.hpp>

#include <vector>

namespace faultline::space {

/// Not thread-safe: Space serialises the calls; the fault path reads the index only.
class MappedSegments {
public:
    /// `index` and `owner` must outlive this object.
    MappedSegments(pager::Pager& pager, sys::Published<SegmentIndex>& index, const pager::RegionOwner& owner,
                   const ArenaPlan& plan);

    [[nodiscard]] const SegmentSet& set() const noexcept { return set_; }
    [[nodiscard]] const Arenas& arenas() const noexcept { return arenas_; }

    /// Adds a segment and opens it. The range is free, and inside one arena. If it throws, nothing has changed.
    void add(AddressRange range, const Origin& origin);
    /// Adds a guard: a segment without accessible pages.
    void add_guard(AddressRange range, const Origin& origin);
    /// Opens the segments of `source`, without their contents, at the corresponding addresses. Call it once, on an
    /// empty object whose arenas have the same sizes.
    void add_all_of(const MappedSegments& source);

    /// Removes all segments in the range. None of them may be a guard.
    void split_and_remove(AddressRange range);
    /// Removes all shared segments: writes them to their files.
    void remove_all_shared();

    /// Changes the access of the segments that cover the range.
    void protect(AddressRange range, Access access);

    /// Throws ENOMEM, as the kernel does, unless segments other than guards cover the range. `purpose`: a verb, for the
    /// message.
    void require_mapped(AddressRange range, const char* purpose) const;

private:
    void publish() { index_.replace(std::make_unique<const SegmentIndex>(set_)); }
    void open(AddressRange range, const Origin& origin, bool in_file);
    void close(const Segment& segment);
    void remove(AddressRange range);
    void remove_shared(const Segment& segment);

    pager::Pager& pager_;
    SegmentSet set_;
    sys::Published<SegmentIndex>& index_;
    Arenas arenas_;
};

}  // namespace faultline::space
