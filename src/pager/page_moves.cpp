// The pager's part in moving contents to other addresses of a region: frames go along, and no byte is copied where the
// mapper moves frames. What is in the store comes in on the way, since a page's place in the store is its address.

#include "pager/fault_path_section.hpp"
#include "pager/pager.hpp"
#include "pager/region_tree.hpp"
#include "sys/cpu.hpp"
#include "sys/signal_block.hpp"

#include <algorithm>
#include <array>

namespace faultline::detail {

using core::PageRange;
using core::PageState;
using core::PageWord;

std::uint64_t Pager::move_pages(Region& region, PageRange from, std::uint64_t to) {
    require_owner_process();
    // Where frames stay, a page's bytes are at its place in a file, and mapped from there.
    if (mapper_.staged_frames() == mmu::StagedFrames::stay) return 0;
    constexpr int kPatience = 100;  // with an evictor that takes away what has just been brought in
    // Copies are made one by one.
    const std::uint64_t at_once = mapper_.staged_frames() == mmu::StagedFrames::move ? kMostMovedAtOnce : 1;
    std::uint64_t done = 0;
    for (int failures = 0; done < from.count && failures < kPatience;) {
        const PageRange rest{from.first + done, std::min(at_once, from.count - done)};
        discard(region, {to + done, rest.count});
        if (!bring_in_for_writing(region, rest)) return done;
        const std::uint64_t moved = move_some(region, rest, to + done);
        done += moved;
        failures = moved > 0 ? 0 : failures + 1;
    }
    return done;
}

/// False when a page cannot come.
bool Pager::bring_in_for_writing(Region& region, PageRange range) {
    for (std::uint64_t page = range.first; page < range.end(); ++page) {
        const PageWord seen = region.load(page);
        if (seen.is(PageState::empty) || (seen.is(PageState::resident) && seen.dirty())) continue;
        const sys::SignalBlock signals;
        const core::PageFault wanted{core::address_of(region.address_of(page)), core::FaultAccess::write,
                                     core::FaultOrigin::control_call, sys::thread_token()};
        const core::FaultOutcome outcome = resolve(wanted);
        if (outcome != core::FaultOutcome::resolved && outcome != core::FaultOutcome::already_resolved) return false;
    }
    return true;
}

/// Moves pages from the front of a range on to where there are none, as far as they are there. Returns how many.
std::uint64_t Pager::move_some(Region& region, PageRange from, std::uint64_t to) {
    const FaultPathSection section;
    wait_until_settled(region, from);  // the program has a page before its fault has ended
    std::array<PageWord, kMostMovedAtOnce> was{};
    std::uint64_t empty = 0;
    while (empty < from.count && region.load(from.first + empty).is(PageState::empty)) ++empty;
    if (empty > 0) return empty;
    std::uint64_t count = 0;
    while (count < from.count && claim_to_move(region, from.first + count, to + count, was[count])) ++count;
    if (count == 0) return 0;

    const mmu::Staged moved = mapper_.stage(region.address_of(from.first), region.address_of(to), region.page_bytes(),
                                            count, mmu::Protection::writable);
    FrameReservation frames{budget_, static_cast<std::int64_t>(moved.pages) * region.page_units()};  // the sources'
    for (std::uint64_t i = 0; i < count; ++i) {
        if (i < moved.pages) {
            leave_behind(region, from.first + i, was[i]);
            filler_.publish(region, to + i, true, {policy::Arrival::Kind::soft_fault}, frames);
        } else {
            region.publish(from.first + i, [](PageWord word) { return word.eviction_refused(); });
            region.publish(to + i, [](PageWord word) { return word.fill_abandoned(PageState::empty); });
        }
    }
    wake_to_return_space();
    return moved.pages;
}

/// resident -> evicting, and empty -> filling; both or none. Never waits.
bool Pager::claim_to_move(Region& region, std::uint64_t from, std::uint64_t to, PageWord& was) FAULTLINE_SIGNAL_SAFE {
    PageWord source = region.load(from);
    do {
        if (!source.evictable() || !source.dirty()) return false;
    } while (!region.try_change(from, source, source.claimed_for_eviction()));
    PageWord target = region.load(to);
    while (target.is(PageState::empty)) {
        if (!region.try_change(to, target, target.claimed_for_fill())) continue;
        was = source;
        return true;
    }
    region.publish(from, [](PageWord word) { return word.eviction_refused(); });
    return false;
}

/// evicting -> empty, of a page whose frame has gone elsewhere.
void Pager::leave_behind(Region& region, std::uint64_t page, PageWord was) FAULTLINE_SIGNAL_SAFE {
    frames_.remove(was.payload());
    // A write in flight that ends now gives the page no slot.
    PageWord seen = region.load(page);
    while (!region.try_change(page, seen, seen.with_dirty(false))) {
    }
    if (seen.has_slot()) region.store().discard(region.offset_of(page), region.page_bytes());
    region.publish(page, [](PageWord word) { return word.discarded(); });
}

}  // namespace faultline::detail
