#include "space/mapped_segments.hpp"

#include "space/page_usage.hpp"
#include "space/shared_file.hpp"
#include "sys/error.hpp"

#include <cerrno>
#include <memory>
#include <string>

namespace faultline::space {

MappedSegments::MappedSegments(pager::Pager& pager, sys::Published<SegmentIndex>& index,
                               const pager::RegionOwner& owner, const ArenaPlan& plan)
    : pager_{pager}, index_{index}, arenas_{pager, owner, index, plan} {}

// ---- adding

void MappedSegments::add(AddressRange range, const Origin& origin) {
    set_.insert(range, origin);
    try {
        publish();  // first: the store must know which file the pages come from
        open(range, origin, origin.file != nullptr);
    } catch (...) {
        set_.erase(range);
        publish();
        if (!origin.pages) arenas_.find(range)->close(range);
        throw;
    }
    set_.merge(range);
}

void MappedSegments::add_guard(AddressRange range, const Origin& origin) {
    set_.insert(range, origin);
    publish();
}

void MappedSegments::add_all_of(const MappedSegments& source) {
    source.set_.for_each([&](const Segment& segment) {
        set_.insert(arenas_.counterpart(source.arenas_, segment.range), segment.origin);
    });
    publish();
    set_.for_each([&](const Segment& segment) {
        if (!segment.origin.guard) open(segment.range, segment.origin, false);
    });
}

/// Makes a range accessible. `in_file`: pages of the segment's own come from its file.
void MappedSegments::open(AddressRange range, const Origin& origin, bool in_file) {
    Arena& arena = *arenas_.find(range);
    if (!origin.pages) return arena.open(range, origin.access, in_file);
    origin.pages->map(arena.region(), arena.pages_of(range), origin.file_offset, origin.access);
}

// ---- removing

void MappedSegments::close(const Segment& segment) {
    Arena& arena = *arenas_.find(segment.range);
    const Origin& origin = segment.origin;
    if (!origin.pages) return arena.close(segment.range);
    origin.pages->unmap(arena.region(), arena.pages_of(segment.range), origin.access);
}

void MappedSegments::split_and_remove(AddressRange range) {
    set_.split_at(range);
    try {
        remove(range);
    } catch (...) {
        set_.merge(range);  // merges what was not removed
        throw;
    }
}

/// Removes all segments in the range, whose ends are segment boundaries. None of them may be a guard.
void MappedSegments::remove(AddressRange range) {
    while (const Segment* const segment = set_.find_from(range.begin)) {
        if (segment->range.begin >= range.end) return;
        const AddressRange part = segment->range;
        if (segment->origin.shared && !segment->origin.pages) {
            remove_shared(*segment);
        } else {
            close(*segment);
            set_.erase(part);
            publish();  // last: until now the pages came from the segment's file
        }
        range.begin = part.end;
    }
}

/// Removes a shared segment with pages of its own. Writes dirty pages to the file first, while no thread can write.
/// Then takes the segment out of the index: closing pages that the store still sees as the file's would write zeros to
/// it.
void MappedSegments::remove_shared(const Segment& segment) {
    const AddressRange part = segment.range;
    Arena& arena = *arenas_.find(part);
    arena.protect(part, Access::none);
    static_cast<void>(pager_.views().write_out(arena.region(), arena.pages_of(part)));
    if (usage_of(arenas_, part).dirty > 0) {
        arena.protect(part, segment.origin.access);
        sys::throw_error(EIO, "cannot unmap the shared mapping of " + segment.origin.file->path() +
                                  ": not all dirty pages could be written to the file");
    }
    set_.erase(part);
    publish();
    arena.close(part);
}

void MappedSegments::remove_all_shared() {
    std::vector<AddressRange> shared;
    set_.for_each([&](const Segment& segment) {
        if (segment.origin.shared) shared.push_back(segment.range);
    });
    for (const AddressRange part : shared) remove(part);
}

// ---- access

void MappedSegments::protect(AddressRange range, Access access) {
    set_.split_at(range);
    arenas_.find(range)->protect(range, access);
    set_.set_access(range, access);
    set_.merge(range);
    publish();
}

void MappedSegments::require_mapped(AddressRange range, const char* purpose) const {
    bool guard = false;
    set_.for_each_in(range, [&](const Segment& segment) { guard |= segment.origin.guard; });
    if (guard || !set_.covers(range)) {
        sys::throw_error(ENOMEM, std::string("cannot ") + purpose +
                                     ": nothing is mapped in a part of the range (segments() lists what is)");
    }
}

}  // namespace faultline::space
