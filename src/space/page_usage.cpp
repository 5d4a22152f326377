#include "space/page_usage.hpp"

#include "core/units.hpp"

namespace faultline::space {

using core::PageState;
using core::PageWord;
using store::Whereabouts;

namespace {

void count(const pager::Region& region, std::uint64_t page, SegmentUsage& usage) {
    const PageWord word = region.load(page);
    if (word.is(PageState::empty) || word.is(PageState::poisoned)) return;
    constexpr std::uint64_t kBytes = core::kUnitBytes;
    if (word.is(PageState::stored)) {
        const Whereabouts::Place place = region.store().whereabouts(region.offset_of(page)).place;
        if (place == Whereabouts::Place::swap_file) usage.swapped += kBytes;
        if (place == Whereabouts::Place::compressed) usage.compressed += kBytes;
        return;
    }
    (word.is(PageState::staged) ? usage.staged : usage.resident) += kBytes;
    if (word.dirty()) usage.dirty += kBytes;
}

}  // namespace

SegmentUsage usage_of(const Arenas& arenas, AddressRange range) {
    SegmentUsage usage;
    if (arenas.find(range) == nullptr) return usage;
    for (const pager::PageRun& run : arenas.runs_of(range)) {
        run.region->table().for_each_touched(run.pages, [&](std::uint64_t page) { count(*run.region, page, usage); });
    }
    return usage;
}

}  // namespace faultline::space
