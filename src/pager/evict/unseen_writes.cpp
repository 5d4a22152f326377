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
    static_cast<void>(sys::PageMerging::forbid(region.view().data(), region.view().size()));
}

bool is_protected(const sys::ProtectionMarks& marks, const Region& region, std::uint64_t page) FAULTLINE_SIGNAL_SAFE {
    return marks.all_marked(region.address_of(page), region.page_bytes());
}

}  // namespace

void UnseenWrites::find_among(std::span<const ChosenPage> claimed) const FAULTLINE_SIGNAL_SAFE {
    if (!sys::PageMerging::may_happen()) return;
    const sys::ProtectionMarks marks;
    const Region* last = nullptr;
    for (const ChosenPage& each : claimed) {
        const Region& region = *regions_.find(each.page.region);
        PageWord seen = region.load(each.page.page);
        if (seen.dirty() || !region.mapper().protection_in_doubt()) continue;
        if (&region != last) forbid_merging(region);
        last = &region;
        if (is_protected(marks, region, each.page.page)) continue;
        while (!region.try_change(each.page.page, seen, seen.with_dirty(true))) {
        }
    }
}

void UnseenWrites::find_in(const Region& region, core::PageRange range) const FAULTLINE_SIGNAL_SAFE {
    if (!region.mapper().protection_in_doubt()) return;
    forbid_merging(region);
    const sys::ProtectionMarks marks;
    region.table().for_each_touched(range, [&](std::uint64_t page) {
        const auto was = region.wait_and_claim(page, [](PageWord word) {
            const bool clean = word.is(PageState::resident) && !word.dirty();
            return clean ? std::optional{word.claimed_for_change()} : std::nullopt;
        });
        if (!was) return;
        const bool dirty = !is_protected(marks, region, page);
        region.publish(page, [dirty](PageWord word) { return word.filled(word.payload(), dirty); });
    });
}

}  // namespace faultline::pager
