#include "pager/region/residency.hpp"

#include "pager/region/region.hpp"

namespace faultline::pager {

ResidencyCell residency_of(const Region& region, core::PageRange pages) noexcept {
    ResidencyCell cell;
    std::uint64_t touched = 0;
    region.table().for_each_touched(pages, [&](std::uint64_t page) {
        const core::PageWord word = region.load(page);
        const std::uint64_t bytes = region.page_bytes();
        if (word.is(core::PageState::empty)) return;
        ++touched;
        if (word.is(core::PageState::resident) || word.busy()) {
            cell.resident += bytes;
            if (word.dirty()) cell.dirty += bytes;
        } else if (word.is(core::PageState::staged)) {
            cell.staged += bytes;
        } else {
            cell.swapped += bytes;
        }
    });
    cell.untouched = (pages.count - touched) * region.page_bytes();
    return cell;
}

void look_at_residency(const Region& region, core::PageRange pages, std::span<ResidencyCell> cells) noexcept {
    for (std::size_t i = 0; i < cells.size(); ++i) cells[i] = residency_of(region, pages.part(i, cells.size()));
}

}  // namespace faultline::pager
