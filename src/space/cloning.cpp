// Clones of a Space: the same segments at other addresses. Space and clone share each page's bytes until one of them
// writes to it. See SegmentStore for the sharing.

#include "core/units.hpp"
#include "pager/fault/fault_entry.hpp"
#include "pager/region/region_map.hpp"
#include "space/space.hpp"
#include "sys/error.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <mutex>
#include <vector>

namespace faultline::space {

using space::AddressRange;
using space::Arena;
using space::Segment;
using space::SegmentIndex;
using space::SegmentStore;

std::unique_ptr<Space> Space::clone(const ClonePlace& place) {
    require_owner_process();
    const std::lock_guard lock{mutex_};
    if (place.image_address % core::kUnitBytes != 0 || place.mapping_address % core::kUnitBytes != 0) {
        sys::throw_error(EINVAL, "cannot clone: ClonePlace's addresses must be multiples of 4 KiB");
    }
    return std::unique_ptr<Space>{new Space{*this, place}};
}

Space::Space(Space& source, const ClonePlace& place)
    : pager_{source.pager_},
      lineage_{source.lineage_},
      index_{pager::RegionMap::readers(), std::make_unique<const SegmentIndex>()},
      handler_{pager::RegionMap::readers(), std::make_unique<const Handler>(source.handler_.read())},
      violations_{SIGSEGV, &pager::resolve_fault, &pager::report_violation} {
    reserve_arenas(source.low_->range().bytes(), source.high_->range().bytes(), place);
    heap_begin_ = low_->counterpart(*source.low_, source.heap_begin_);
    break_ = low_->counterpart(*source.low_, source.break_);
    heap_limit_ = source.heap_limit_;
    stack_ = counterpart(source, source.stack_);
    mappings_ = counterpart(source, source.mappings_);
    copy_segments(source);
    copy_pages(source);
}

/// Opens the clone's segments, empty. No program code knows their addresses yet.
void Space::copy_segments(const Space& source) {
    source.segments_.for_each(
        [&](const Segment& segment) { segments_.insert(counterpart(source, segment.range), segment.origin); });
    index_.replace(make_index());
    segments_.for_each([&](const Segment& segment) {
        if (!segment.origin.guard) open(segment.range, segment.origin, false);
    });
    for (std::size_t i = 0; i < arenas().size(); ++i) {
        pager::Region& region = arenas()[i]->region();
        region.access_hints().copy(region.mapping().size(), source.arenas()[i]->region().access_hints());
    }
}

void Space::copy_pages(Space& source) {
    // held until the destructors below have closed what is not needed any more
    const auto lock = pager_->clones().keep_regions();
    std::array<SegmentStore::Freezing, 2> freezing;
    std::vector<pager::Region*> regions = source.shared_regions();  // their files have pages of the clone, too
    for (std::size_t i = 0; i < arenas().size(); ++i) {
        const Arena& arena = *source.arenas()[i];
        regions.push_back(&arena.region());
        freezing[i] = arena.store().prepare_freeze(pager_->clones().open_store(arena.region()));
    }
    pager_->clones().freeze(regions, [&] {
        for (std::size_t i = 0; i < arenas().size(); ++i) {
            const Arena& from = *source.arenas()[i];
            const Arena& to = *arenas()[i];
            from.store().freeze(freezing[i]);
            to.store().share_layers_of(from.store());
            pager_->clones().copy_words(from.region(), to.region());
        }
    });
}

/// Returns the shared regions that the space maps, each once.
std::vector<pager::Region*> Space::shared_regions() const {
    std::vector<pager::Region*> regions;
    segments_.for_each([&](const Segment& segment) {
        if (!segment.origin.pages) return;
        for (const pager::PageRun& run : runs_of(segment.range)) regions.push_back(run.region);
    });
    std::sort(regions.begin(), regions.end());
    regions.erase(std::unique(regions.begin(), regions.end()), regions.end());
    return regions;
}

AddressRange Space::counterpart(const Space& other, AddressRange range) const {
    const std::uintptr_t begin = counterpart(other, range.begin);
    return {begin, begin + range.bytes()};
}

std::uintptr_t Space::counterpart(const Space& other, std::uintptr_t address) const {
    if (other.lineage_ != lineage_) {
        sys::throw_error(EINVAL, "cannot find the counterpart: the two address spaces are no clones of each other");
    }
    for (std::size_t i = 0; i < arenas().size(); ++i) {
        const Arena& theirs = *other.arenas()[i];
        if (theirs.range().contains(address)) return arenas()[i]->counterpart(theirs, address);
    }
    // No arena contains the address: take the one that ends there. An arena that begins there comes first (above).
    for (std::size_t i = 0; i < arenas().size(); ++i) {
        const Arena& theirs = *other.arenas()[i];
        if (theirs.range().end == address) return arenas()[i]->counterpart(theirs, address);
    }
    sys::throw_error(EINVAL, "cannot find the counterpart: the address is not in the address space given");
}

}  // namespace faultline::space
