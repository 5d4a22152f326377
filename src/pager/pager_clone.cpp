// The pager's part of a clone: everybody stands still while what is dirty is written, and while the copy is made.

#include "core/check.hpp"
#include "pager/pager.hpp"
#include "pager/region_tree.hpp"
#include "pager/standstill.hpp"
#include "pager/standstill_writer.hpp"
#include "store/write_queue.hpp"
#include "sys/error.hpp"

#include <memory>

namespace faultline::detail {

using core::PageState;
using core::PageWord;

std::unique_ptr<store::BackingStore> Pager::open_store(const Region& region) {
    return stores_->open_for_pages(region.view().size(), region.page_bytes());
}

void Pager::stand_still(std::span<Region* const> regions, const std::function<void()>& change) {
    require_owner_process();
    StandstillWriter writer{"fl-clone"};
    const Standstill still;
    if (async_reader_) async_reader_->drain();
    writer.run([&](store::WriteQueue& queue) { write_regions(regions, queue); });
    change();
}

/// What is staged is of any region; it is few.
void Pager::write_regions(std::span<Region* const> regions, store::WriteQueue& queue) {
    const Quiescence::Reader reader{RegionTree::readers()};
    int error = evictor_.settle_all(queue);
    for (Region* const region : regions) {
        if (error == 0) error = clean_all(*region, queue);
    }
    if (error != 0) sys::throw_error(error, "what is dirty cannot be written to the swap file");
}

void Pager::copy_words(const Region& from, const Region& to) {
    const core::Departure long_ago = core::Departure::long_before(evictor_.sequence());
    from.table().for_each_touched({0, from.pages()}, [&](std::uint64_t page) {
        const PageWord original = from.load(page);
        PageWord seen = to.load(page);
        while (!to.try_change(page, seen, seen.cloned_from(original, long_ago))) {
        }
        if (original.is(PageState::resident) && !original.dirty()) shared_frames_.note(from, page);
    });
}

}  // namespace faultline::detail
