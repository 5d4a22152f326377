#include "pager/snapshot/clone_snapshot.hpp"

#include "core/check.hpp"
#include "pager/region/region_map.hpp"
#include "pager/region/standstill.hpp"
#include "pager/snapshot/standstill_writer.hpp"
#include "sys/error.hpp"

namespace faultline::pager {

using core::PageState;
using core::PageWord;

void CloneSnapshot::freeze(std::span<Region* const> regions, const std::function<void()>& change) {
    core_.require_owner_process();
    StandstillWriter writer{"fl-clone"};
    const Standstill still;
    read_ahead_.drain();
    writer.run([&](store::WriteQueue& queue) { write_dirty(regions, queue); });
    change();
}

/// Staged pages may be of any region; they are few.
void CloneSnapshot::write_dirty(std::span<Region* const> regions, store::WriteQueue& queue) {
    const sys::Quiescence::Reader reader{RegionMap::readers()};
    int error = finisher_.finish_all(queue);
    for (Region* const region : regions) {
        if (error == 0) error = cleaner_.clean(*region, queue);
    }
    if (error != 0) sys::throw_error(error, "what is dirty cannot be written to the swap file");
}

void CloneSnapshot::copy_words(const Region& from, const Region& to) {
    const core::Departure long_ago = core_.departures.long_ago();
    from.table().for_each_touched({0, from.pages()}, [&](std::uint64_t page) {
        const PageWord original = from.load(page);
        FAULTLINE_INVARIANT(!original.busy() && !original.is(PageState::staged));
        if (original.has_slot()) to.update(page, [=](PageWord word) { return word.found_in_store(long_ago); });
        if (original.is(PageState::resident) && !original.dirty()) shared_frames_.note(from, page);
    });
}

}  // namespace faultline::pager
