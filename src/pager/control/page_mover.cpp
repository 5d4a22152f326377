#include "pager/control/page_mover.hpp"

#include "core/units.hpp"
#include "pager/fault/fault_entry.hpp"
#include "pager/region/fault_path_section.hpp"
#include "pager/region/range_pieces.hpp"
#include "sys/cpu.hpp"
#include "sys/signal_block.hpp"

#include <algorithm>
#include <array>
#include <optional>

namespace faultline::pager {

using core::PageRange;
using core::PageState;
using core::PageWord;

namespace {

/// Makes the pages of the range that are not empty resident and dirty. False when a page cannot be read.
bool bring_in_for_writing(const Region& region, PageRange range) {
    for (std::uint64_t page = range.first; page < range.end(); ++page) {
        const PageWord seen = region.load(page);
        if (seen.is(PageState::empty) || (seen.is(PageState::resident) && seen.dirty())) continue;
        const sys::SignalBlock signals;
        const core::PageFault wanted{core::address_of(region.address_of(page)), core::FaultAccess::write,
                                     core::FaultOrigin::control_call, sys::thread_token()};
        const core::FaultOutcome outcome = resolve_fault(wanted);
        if (outcome != core::FaultOutcome::resolved && outcome != core::FaultOutcome::already_resolved) return false;
    }
    return true;
}

}  // namespace

std::uint64_t PageMover::move(Region& region, PageRange from, std::uint64_t to) {
    core_.require_owner_process();
    if (!region.mapper().can_move()) return 0;
    constexpr int kMostFailures = 100;  // an evictor may take pages away that have just been brought in
    std::uint64_t done = 0;
    for (int failures = 0; done < from.count && failures < kMostFailures;) {
        const PageRange rest{from.first + done, std::min(kMostAtOnce, from.count - done)};
        discarder_.discard(region, {to + done, rest.count});
        if (!bring_in_for_writing(region, rest)) return done;
        const std::uint64_t moved = move_some(region, rest, to + done);
        done += moved;
        failures = moved > 0 ? 0 : failures + 1;
    }
    return done;
}

/// Moves resident pages from the front of a range to pages that are empty. An empty page counts as moved. Returns how
/// many pages moved.
std::uint64_t PageMover::move_some(Region& region, PageRange from, std::uint64_t to) {
    const FaultPathSection section;
    wait_until_unowned(region, from);  // a program may use a page before its fault has ended
    std::array<PageWord, kMostAtOnce> was{};
    std::uint64_t empty = 0;
    while (empty < from.count && region.load(from.first + empty).is(PageState::empty)) ++empty;
    if (empty > 0) return empty;
    std::uint64_t count = 0;
    while (count < from.count && claim(region, from.first + count, to + count, was[count])) ++count;
    if (count == 0) return 0;

    const mmu::Staged moved =
        region.mapper().move(region.address_of(from.first), region.address_of(to), region.page_bytes(), count);
    FrameReservation frames{core_.budget,
                            static_cast<std::int64_t>(moved.pages) * region.page_units()};  // the sources'
    for (std::uint64_t i = 0; i < count; ++i) {
        if (i < moved.pages) {
            publish_empty(region, from.first + i, was[i]);
            publish_page(context_, region, to + i, {.dirty = true}, {Arrival::Kind::soft_fault}, frames);
        } else {
            region.publish(from.first + i, [](PageWord word) { return word.eviction_refused(); });
            region.publish(to + i, [](PageWord word) { return word.fill_abandoned(PageState::empty); });
        }
    }
    core_.wake_to_return_space();
    return moved.pages;
}

/// resident -> evicting, and empty -> filling; both or none. Never waits.
bool PageMover::claim(Region& region, std::uint64_t from, std::uint64_t to, PageWord& was) FAULTLINE_SIGNAL_SAFE {
    const auto source = region.update_if(from, [](PageWord word) {
        const bool movable = is_evictable(word) && word.dirty();
        return movable ? std::optional{word.claimed_for_eviction()} : std::nullopt;
    });
    if (!source) return false;
    const auto target = region.update_if(to, [](PageWord word) {
        return word.is(PageState::empty) ? std::optional{word.claimed_for_fill()} : std::nullopt;
    });
    if (!target) {
        region.publish(from, [](PageWord word) { return word.eviction_refused(); });
        return false;
    }
    was = *source;
    return true;
}

/// evicting -> empty, of a page whose frame has moved.
void PageMover::publish_empty(Region& region, std::uint64_t page, PageWord was) FAULTLINE_SIGNAL_SAFE {
    core_.frames.remove(was.payload());
    // A write in flight that ends now gives a clean page no slot.
    const PageWord before = region.update(page, [](PageWord word) { return word.with_dirty(false); });
    if (before.has_slot()) region.store().discard(region.offset_of(page), region.page_bytes());
    region.publish(page, [](PageWord word) { return word.discarded(); });
}

}  // namespace faultline::pager
