#include "space/range_control.hpp"

#include "space/mapping_area.hpp"
#include "space/page_ranges.hpp"
#include "space/placement.hpp"
#include "sys/error.hpp"

#include <cerrno>
#include <memory>
#include <string>
#include <vector>

namespace faultline::space {

/// Returns the arena of a range, all of which is mapped. Throws EINVAL or ENOMEM otherwise.
Arena& RangeControl::require_mapped(AddressRange range, const char* purpose) const {
    Arena& arena = segments_.arenas().require(range, purpose);
    segments_.require_mapped(range, purpose);
    return arena;
}

void RangeControl::protect(std::uintptr_t address, std::size_t bytes, Access access) {
    const AddressRange range = checked_range(address, bytes, "protect");
    require_mapped(range, "protect");
    segments_.set().for_each_in(range, [&](const Segment& segment) {
        if (segment.origin.shared && access == Access::read_write) require_writable(*segment.origin.file);
    });
    segments_.protect(range, access);
}

void RangeControl::advise(std::uintptr_t address, std::size_t bytes, Advice advice) {
    require_user_range(address, bytes);
    if (bytes == 0) return;
    const AddressRange range = pages_touched(address, bytes);
    require_mapped(range, "advise");
    for (const pager::PageRun& run : segments_.arenas().runs_of(range))
        pager_.advice().advise(*run.region, run.pages, advice);
}

void RangeControl::discard(std::uintptr_t address, std::size_t bytes) {
    const AddressRange range = checked_range(address, bytes, "discard");
    Arena& arena = require_mapped(range, "discard");
    segments_.set().for_each_in(range, [&](const Segment& segment) {
        const AddressRange part = intersection(range, segment.range);
        const core::PageRange pages = arena.pages_of(part);
        if (segment.origin.shared) {  // discarding would write zeros to the file
            for (const pager::PageRun& run : segments_.arenas().runs_of(part))
                pager_.advice().evict(*run.region, run.pages);
            return;
        }
        if (segment.origin.file) {
            pager_.discarder().discard_to_store(arena.region(), pages);
        } else {
            pager_.discarder().discard(arena.region(), pages);
        }
    });
}

void RangeControl::sync(std::uintptr_t address, std::size_t bytes) {
    const AddressRange range = checked_range(address, bytes, "synchronise");
    require_mapped(range, "synchronise");
    std::vector<std::shared_ptr<const SourceFile>> files;
    segments_.set().for_each_in(range, [&](const Segment& segment) {
        if (!segment.origin.shared) return;
        write_out(segment, intersection(range, segment.range));
        if (files.empty() || files.back() != segment.origin.file) files.push_back(segment.origin.file);
    });
    for (const auto& file : files) {
        if (const int error = file->synchronize()) sys::throw_error(error, "cannot synchronise " + file->path());
    }
}

/// Writes the dirty pages of a part of a shared segment to its file.
void RangeControl::write_out(const Segment& segment, AddressRange range) {
    for (const pager::PageRun& run : segments_.arenas().runs_of(range)) {
        const int error = pager_.views().write_out(*run.region, run.pages);
        if (error == 0) continue;
        sys::throw_error(error, "cannot synchronise the shared mapping of " + segment.origin.file->path() +
                                    (error == EBUSY ? ": pages are pinned, or held by the kernel" : ""));
    }
}

void RangeControl::retry(std::uintptr_t address, std::size_t bytes) {
    const AddressRange range = checked_range(address, bytes, "retry");
    segments_.arenas().require(range, "retry");
    for (const pager::PageRun& run : segments_.arenas().runs_of(range)) pager_.advice().retry(*run.region, run.pages);
}

std::pair<pager::Region*, core::PageRange> RangeControl::pin(std::uintptr_t address, std::size_t bytes,
                                                             PinFor purpose) {
    require_user_range(address, bytes);
    if (bytes == 0) return {};
    const AddressRange range = pages_touched(address, bytes);
    const Arena& arena = require_mapped(range, "pin");
    const core::PageRange pages = arena.pages_of(range);
    pager_.pins().pin(arena.region(), pages, purpose);
    return {&arena.region(), pages};
}

}  // namespace faultline::space
