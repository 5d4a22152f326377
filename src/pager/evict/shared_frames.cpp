#include "pager/evict/shared_frames.hpp"

namespace faultline::pager {

using core::PageRef;
using core::PageState;
using core::PageWord;

void SharedFrames::note(const Region& region, std::uint64_t page) const FAULTLINE_SIGNAL_SAFE {
    const store::SharedBytes bytes = region.store().shared_bytes(region.offset_of(page));
    if (bytes.note != nullptr) bytes.note->store(region.ref(page).bits(), std::memory_order_relaxed);
}

/// Returns the page that the store's note names, if its word says that it may have `bytes` in a frame.
std::optional<SharedFrames::Found> SharedFrames::find(const Region& region, std::uint64_t page,
                                                      const store::SharedBytes& bytes) const FAULTLINE_SIGNAL_SAFE {
    if (bytes.note == nullptr) return std::nullopt;
    const PageRef noted = PageRef::from(bytes.note->load(std::memory_order_relaxed));
    if (noted.region == 0 || noted == region.ref(page)) return std::nullopt;
    const Region* const other = core_.regions.find(noted.region);
    // The region may be destroyed, and another may have its id.
    if (other == nullptr || noted.page >= other->pages() || other->page_bytes() != region.page_bytes()) {
        return std::nullopt;
    }
    const PageWord word = other->load(noted.page);
    if (!is_evictable(word) || word.dirty() || !word.has_slot()) return std::nullopt;
    return Found{*other, noted.page, word};
}

bool SharedFrames::has(const Region& region, std::uint64_t page) const FAULTLINE_SIGNAL_SAFE {
    return find(region, page, region.store().shared_bytes(region.offset_of(page))).has_value();
}

bool SharedFrames::take(const Region& region, std::uint64_t page, bool for_writing,
                        std::uint64_t thread) FAULTLINE_SIGNAL_SAFE {
    const store::SharedBytes bytes = region.store().shared_bytes(region.offset_of(page));
    if (bytes.note == nullptr) return false;
    std::optional<Found> found = find(region, page, bytes);
    const bool back_and_forth = found && recent_faults_.got_recently(thread, region.ref(page)) &&
                                recent_faults_.got_recently(thread, found->region.ref(found->page));
    recent_faults_.faulted(thread, region.ref(page));
    if (!found || found->region.mapper().protection_in_doubt()) return false;
    const bool other_stays = for_writing || back_and_forth;
    const Region& other = found->region;
    std::byte* const there = other.address_of(found->page);
    if (!other.try_change(found->page, found->word, found->word.claimed_for_eviction())) return false;
    // The other page is owned and clean now, so its bytes are those that its store names. It is mapped, so the kernel
    // can copy from it.
    const bool same = other.store().shared_bytes(other.offset_of(found->page)) == bytes &&
                      other.mapper().can_copy_from(there, other.page_bytes());
    const auto protection = mmu::protection_for(region.load(page).protection(), for_writing);
    const bool taken =
        same && region.mapper().install(region.address_of(page), there, region.page_bytes(), protection) == 0;
    if (!taken || other_stays) {
        other.publish(found->page, [](PageWord word) { return word.eviction_refused(); });
        return taken;
    }
    const iovec range{there, other.page_bytes()};
    other.mapper().drop({&range, 1});
    core_.frames.remove(found->word.payload());
    const core::Departure departure = core_.departures.next(0);
    other.publish(found->page, [departure](PageWord word) { return word.evicted(departure); });
    core_.budget.release(other.page_units());
    return true;
}

}  // namespace faultline::pager
