#include "pager/evict/unseen_writes.hpp"

#include "sys/page_merging.hpp"

#include <optional>

namespace faultline::pager {

using core::PageState;
using core::PageWord;

namespace {

/// Forbids the kernel to merge pages of the region from now on. Called before the marks are read, so that a mark that
/// is set stays set.
void forbid_merging(const Region& region) FAULTLINE_SIGNAL_SAFE {
    static_cast<void>(sys::PageMerging::exclude(region.mapping().data(), region.mapping().size()));
}

}  // namespace

void UnseenWrites::find_among(std::span<const ChosenPage> claimed) const FAULTLINE_SIGNAL_SAFE {
    if (!sys::PageMerging::may_happen()) return;
    const Region* last = nullptr;
    bool in_doubt = false;
    for (const ChosenPage& each : claimed) {
        const Region& region = *regions_.find(each.page.region);
        if (region.load(each.page.page).dirty()) continue;
        if (&region != last) {
            last = &region;
            in_doubt = region.mapper().protection_in_doubt();
            if (in_doubt) forbid_merging(region);
        }
        if (!in_doubt || sys::is_write_protected(region.address_of(each.page.page), region.page_bytes())) continue;
        region.update(each.page.page, [](PageWord word) { return word.with_dirty(true); });
    }
}

void UnseenWrites::find_in(const Region& region, core::PageRange range) const FAULTLINE_SIGNAL_SAFE {
    if (!region.mapper().protection_in_doubt()) return;
    forbid_merging(region);
    region.table().for_each_touched(range, [&](std::uint64_t page) {
        const auto was = region.wait_and_claim(page, [](PageWord word) {
            const bool clean = word.is(PageState::resident) && !word.dirty();
            return clean ? std::optional{word.claimed_for_change()} : std::nullopt;
        });
        if (!was) return;
        const bool dirty = !sys::is_write_protected(region.address_of(page), region.page_bytes());
        region.publish(page, [dirty](PageWord word) { return word.filled(word.payload(), dirty); });
    });
}

}  // namespace faultline::pager
