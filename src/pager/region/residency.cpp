#include "pager/region/residency.hpp"

#include "pager/region/region.hpp"

namespace faultline::pager {
namespace {

ResidencyCell look_at_cell(const Region& region, core::PageRange part) noexcept {
    ResidencyCell cell;
    std::uint64_t touched = 0;
    region.table().for_each_touched(part, [&](std::uint64_t page) {
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
    cell.untouched = (part.count - touched) * region.page_bytes();
    return cell;
}

}  // namespace

void look_at_residency(const Region& region, core::PageRange pages, std::span<ResidencyCell> cells) noexcept {
    for (std::size_t i = 0; i < cells.size(); ++i) {
        // Quotient and remainder separately, so that the product cannot overflow.
        const auto boundary = [&](std::uint64_t at) {
            return pages.first + pages.count / cells.size() * at + pages.count % cells.size() * at / cells.size();
        };
        cells[i] = look_at_cell(region, {boundary(i), boundary(i + 1) - boundary(i)});
    }
}

}  // namespace faultline::pager
