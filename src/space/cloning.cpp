#include "space/cloning.hpp"

#include <algorithm>
#include <array>
#include <vector>

namespace faultline::space {

namespace {

/// Returns the shared regions that the segments map, each once.
std::vector<pager::Region*> shared_regions(const MappedSegments& segments) {
    std::vector<pager::Region*> regions;
    segments.set().for_each([&](const Segment& segment) {
        if (!segment.origin.pages) return;
        for (const pager::PageRun& run : segments.arenas().runs_of(segment.range)) regions.push_back(run.region);
    });
    std::sort(regions.begin(), regions.end());
    regions.erase(std::unique(regions.begin(), regions.end()), regions.end());
    return regions;
}

void copy_access_hints(const Arenas& from, const Arenas& to) {
    for (std::size_t i = 0; i < to.both().size(); ++i) {
        pager::Region& region = to.both()[i]->region();
        region.access_hints().copy(region.mapping().size(), from.both()[i]->region().access_hints());
    }
}

void copy_pages(pager::Pager& pager, const MappedSegments& source, const Arenas& to) {
    const Arenas& from = source.arenas();
    const auto lock = pager.clones().keep_regions();
    std::vector<pager::Region*> regions = shared_regions(source);  // their files have pages of the clone, too
    for (const auto& arena : from.both()) {
        regions.push_back(&arena->region());
        arena->store().prepare_to_share(arena->region().pages());
    }
    pager.clones().freeze(regions, [&] {
        for (std::size_t i = 0; i < from.both().size(); ++i) {
            const Arena& original = *from.both()[i];
            const Arena& copy = *to.both()[i];
            copy.store().share_pages_of(original.store());
            pager.clones().copy_words(original.region(), copy.region());
        }
    });
}

}  // namespace

void clone_segments(pager::Pager& pager, const MappedSegments& source, MappedSegments& clone) {
    clone.add_all_of(source);
    copy_access_hints(source.arenas(), clone.arenas());
    copy_pages(pager, source, clone.arenas());
}

}  // namespace faultline::space
