// The figures of a heap: stats and residency. Reads the metadata and no block. The counts are read one after the other
// while threads allocate, so they may differ from each other by the blocks in flight.

#include "heap/heap.hpp"
#include "heap/no_fork_section.hpp"
#include "pager/region/residency.hpp"

#include <algorithm>

namespace faultline::heap {

HeapStats Heap::stats() {
    const NoForkSection section;
    HeapStats all;
    const CachedCounts cached = small_.cached_counts();
    for (std::size_t i = 0; i < kSizeClasses; ++i) {
        const ClassShape& its = shape(static_cast<SizeClass>(i));
        SizeClassStats one;
        one.block_bytes = its.block_bytes;
        const CentralSpans::Counts counts = central_.counts(static_cast<SizeClass>(i));
        one.spans = counts.spans;
        one.free_blocks = counts.free_blocks;
        if (one.spans == 0) continue;
        const std::uint64_t out = one.spans * its.blocks - one.free_blocks;
        one.cached_blocks = i < cached.size() ? std::min(cached[i], out) : 0;
        one.live_blocks = out - one.cached_blocks;
        all.live_blocks += one.live_blocks;
        all.live_bytes += one.live_blocks * one.block_bytes;
        all.cached_bytes += one.cached_blocks * one.block_bytes;
        all.free_in_spans += one.spans * (std::uint64_t{its.span_pages} << core::kUnitShift) - out * one.block_bytes;
        all.by_class.push_back(one);
    }
    const HeapPages::Figures pages = pages_.figures();
    all.large_blocks = pages.large_blocks;
    all.large_bytes = pages.large_bytes;
    all.live_blocks += pages.large_blocks;
    all.live_bytes += pages.large_bytes;
    all.free_outside_spans = pages.free_below + pages.free_above;
    all.reserved_to_grow = pages.reserved_bytes;
    all.dead_bytes = pages_.life().dead_bytes();
    all.break_bytes = pages.break_bytes;
    all.mapping_bytes = pages.mapping_bytes;
    all.discarded_bytes = discarder_.discarded_bytes();
    all.paging = pager::region_stats(region().counters(), region().page_bytes());
    return all;
}

void Heap::residency(std::span<ResidencyCell> cells) noexcept {
    const auto [below, above] = pages_.frontiers();
    const core::PageRange low{0, below};
    const core::PageRange high{above, region().pages() - above};
    if (low.count + high.count == 0) {
        std::fill(cells.begin(), cells.end(), ResidencyCell{});
        return;
    }
    const std::uint64_t pages = low.count + high.count;
    std::size_t low_cells = (low.count * cells.size() + pages / 2) / pages;  // rounded to the nearest
    // A part that is not empty gets at least one cell.
    if (low.count > 0) low_cells = std::max<std::size_t>(low_cells, 1);
    if (high.count > 0 && low_cells == cells.size() && low_cells > 1) --low_cells;
    low_cells = std::min(low_cells, cells.size());
    pager::look_at_residency(region(), low, cells.first(low_cells));
    pager::look_at_residency(region(), high, cells.subspan(low_cells));
}

}  // namespace faultline::heap
