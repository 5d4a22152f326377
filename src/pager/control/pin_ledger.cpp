#include "pager/control/pin_ledger.hpp"

#include "core/units.hpp"
#include "pager/fault/fault_entry.hpp"
#include "pager/region/fault_path_section.hpp"
#include "sys/cpu.hpp"
#include "sys/error.hpp"

#include <algorithm>
#include <cerrno>
#include <string>

namespace faultline::pager {

using core::PageRange;
using core::PageState;
using core::PageWord;

void PinLedger::pin(Region& region, PageRange range, PinFor purpose) {
    core_.require_owner_process();
    const PinnedFront pinned = pin_front(region, range, purpose, PinAmount::all);
    if (pinned.error == 0) return;
    unpin(region, {range.first, pinned.pages});
    if (pinned.error == ENOMEM) {
        sys::throw_error(ENOMEM, "pinning " + sys::readable_bytes(range.count * region.page_bytes()) +
                                     " would leave too little of the resident limit of " +
                                     sys::readable_bytes(core_.limit.bytes.load()) +
                                     " for faults; pin less, or raise the limit");
    }
    sys::throw_error(pinned.error,
                     "cannot pin a page" + std::string(pinned.error == EACCES ? ": its protection forbids the purpose"
                                                       : pinned.error == EIO  ? ": the store could not read it back"
                                                                              : ""));
}

PinnedFront PinLedger::pin_front(Region& region, PageRange range, PinFor purpose, PinAmount amount) noexcept {
    const std::uint64_t reserved = reserve(region, range.count, amount);
    for (std::uint64_t i = 0; i < reserved; ++i) {
        const int error = pin_page(region, range.first + i, purpose);
        if (error == 0) continue;
        core_.limit.pinned_units.fetch_sub(static_cast<std::int64_t>(reserved - i) * region.page_units());
        return {i, error};
    }
    return {reserved, reserved == range.count ? 0 : ENOMEM};
}

/// Returns how many units pins may hold. Records take frames from them, but leave system calls a few buffers. Without
/// records it is what the limit allows, even if that is less than the least number of frames: faults need the others.
std::int64_t PinLedger::most_pinned() const noexcept {
    const std::int64_t most = core_.limit.pinnable_units.load();
    return std::min(most, std::max(most - core_.budget.records(), core_.budget.least()));
}

std::uint64_t PinLedger::room() const noexcept {
    return static_cast<std::uint64_t>(std::max<std::int64_t>(most_pinned() - pinned_units(), 0)) * core::kUnitBytes;
}

/// Counts up to `wanted` pages as pinned before they are, and returns how many. The count never exceeds the limit, not
/// even for a moment: of two threads that ask for the last page at once, one gets it.
std::uint64_t PinLedger::reserve(const Region& region, std::uint64_t wanted, PinAmount amount) noexcept {
    std::int64_t pinned = core_.limit.pinned_units.load();
    for (;;) {
        const std::int64_t room = std::max<std::int64_t>(most_pinned() - pinned, 0) / region.page_units();
        const auto left = static_cast<std::uint64_t>(room);
        const std::uint64_t share = amount == PinAmount::all ? left : (left + 1) / 2;
        const std::uint64_t count = std::min(wanted, share);
        if (count == 0 || (amount == PinAmount::all && count < wanted)) return 0;
        const std::int64_t units = static_cast<std::int64_t>(count) * region.page_units();
        if (core_.limit.pinned_units.compare_exchange_weak(pinned, pinned + units)) return count;
    }
}

int PinLedger::pin_page(Region& region, std::uint64_t page, PinFor purpose) noexcept {
    const std::uintptr_t address = core::address_of(region.address_of(page));
    if (!region.has_gaps()) return pin_at({region, page}, purpose, address);
    const FaultPathSection section;  // keeps the view alive
    return pin_at(core_.place_of(region, address), purpose, address);
}

/// Pins one page. If it was reached through a view, pins the page of the view, too, so that the view is not unmapped.
int PinLedger::pin_at(const PagePlace& place, PinFor purpose, std::uintptr_t address) noexcept {
    Region& region = place.region;
    const std::uint64_t page = place.page;
    const bool write = purpose == PinFor::writing;
    // A dirty page whose mapping carries its access may have come in read-only: a fault makes it writable.
    bool asked = !write || !region.mapper().maps_access_by_page();
    PageWord seen = region.load(page);
    for (;;) {
        const Access allowed = place.access(seen);
        if (allowed == Access::none || (write && allowed != Access::read_write)) return EACCES;
        if (asked && seen.is(PageState::resident) && (!write || seen.dirty())) {
            if (seen.pins() == PageWord::kMaxPins) return EOVERFLOW;
            if (!region.try_change(page, seen, seen.with_pin_added())) continue;
            if (place.view != nullptr) {
                place.view->publish(place.view_page, [](PageWord word) { return word.with_pin_added(); });
            }
            return 0;
        }
        const sys::SignalBlock signals;
        const core::PageFault wanted{address, write ? core::FaultAccess::write : core::FaultAccess::read,
                                     core::FaultOrigin::control_call, sys::thread_token()};
        if (resolve_fault(wanted) == core::FaultOutcome::failed) {
            return region.load(page).is(PageState::poisoned) ? EIO : ENOSPC;
        }
        asked = true;
        seen = region.load(page);
    }
}

void PinLedger::unpin(Region& region, PageRange range) noexcept {
    if (!core_.in_owner_process()) return;
    const auto unpinned = [](PageWord word) { return word.with_pin_removed(); };
    for (std::uint64_t page = range.first; page < range.end(); ++page) {
        if (region.has_gaps()) {
            const FaultPathSection section;
            const PagePlace place = core_.place_of(region, core::address_of(region.address_of(page)));
            if (place.view != nullptr) place.region.publish(place.page, unpinned);
        }
        region.publish(page, unpinned);
    }
    core_.limit.pinned_units.fetch_sub(static_cast<std::int64_t>(range.count) * region.page_units());
    core_.budget.notify();
}

}  // namespace faultline::pager
