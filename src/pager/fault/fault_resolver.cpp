#include "pager/fault/fault_resolver.hpp"

#include "core/check.hpp"
#include "pager/region/stored_bytes.hpp"
#include "sys/cpu.hpp"
#include "sys/transient.hpp"

namespace faultline::pager {

using core::FaultOutcome;
using core::PageFault;
using core::PageState;
using core::PageWord;
using mmu::Protection;

namespace {

constexpr bool allows(Access allowed, core::FaultAccess access) noexcept {
    switch (access) {
        case core::FaultAccess::read:
            return allowed != Access::none;
        case core::FaultAccess::write:
            return allowed == Access::read_write;
        case core::FaultAccess::execute:
            return allowed == Access::read_execute;
    }
    return false;
}

/// Returns true if the memory at the fault is not the pager's.
bool is_in_gap_of_window(const Region& region, const PageFault& fault) FAULTLINE_SIGNAL_SAFE {
    return region.window() && !region.open_pages().contains(region.page_of(fault.address));
}

/// A handler thread gets such faults only while PageGaps maps or releases the page: the thread that faulted tries
/// again.
FaultOutcome answer_in_gap(core::FaultOrigin origin) FAULTLINE_SIGNAL_SAFE {
    return origin == core::FaultOrigin::handler_thread ? FaultOutcome::already_resolved : FaultOutcome::not_ours;
}

}  // namespace

FaultOutcome FaultResolver::resolve(Region& region, const PageFault& fault) FAULTLINE_SIGNAL_SAFE {
    if (is_in_gap_of_window(region, fault)) return answer_in_gap(fault.origin);
    if (fault.refused && region.mapper().refusal_is_final()) return FaultOutcome::access_violation;
    // A program reaches a shared region through views only; control calls pin its pages and bring them back.
    if (region.shared() && fault.origin != core::FaultOrigin::control_call) return FaultOutcome::access_violation;
    return resolve_page({core_.place_of(region, fault.address), fault, sys::ticks()});
}

FaultOutcome FaultResolver::resolve_page(const FaultedPage& faulted) FAULTLINE_SIGNAL_SAFE {
    if (core_.limit.frames_are_few.load(std::memory_order_relaxed)) {
        core_.guard.faulted(faulted.fault.thread, faulted.region.ref(faulted.page));
    }
    bool waited = false;
    for (;;) {
        const PageWord seen = faulted.region.load(faulted.page);
        Step step = answer_forbidden(faulted, seen);
        if (step) return *step;
        switch (seen.state()) {
            case PageState::filling:
            case PageState::evicting:
                step = wait_for_owner(faulted, seen);
                waited = true;
                break;
            case PageState::resident:
                step = allow_access(faulted, seen);
                break;
            case PageState::empty:
            case PageState::stored:
                step = fill(faulted, seen);
                break;
            case PageState::staged:
                step = take_back(faulted, seen);
                break;
            case PageState::poisoned:
                return FaultOutcome::failed;
        }
        if (!step) continue;
        if (waited && *step == FaultOutcome::already_resolved) account_wait(core_, faulted);
        return *step;
    }
}

/// Returns the outcome of an access that the page forbids; nothing if the page is to come in.
FaultResolver::Step FaultResolver::answer_forbidden(const FaultedPage& faulted,
                                                    PageWord seen) const FAULTLINE_SIGNAL_SAFE {
    const Access allowed = faulted.access(seen);
    if (allows(allowed, faulted.fault.access)) return std::nullopt;
    return faulted.region.mapper().answer_forbidden(faulted.fault.access, allowed);
}

/// Another thread owns the page. A handler thread, which other threads wait for, does not wait: the owner will wake the
/// thread that faulted.
FaultResolver::Step FaultResolver::wait_for_owner(const FaultedPage& faulted, PageWord seen) FAULTLINE_SIGNAL_SAFE {
    if (faulted.fault.origin == core::FaultOrigin::handler_thread) {
        if (!faulted.region.announce_waiter(faulted.page, seen)) return std::nullopt;
        return FaultOutcome::deferred;
    }
    faulted.region.wait(faulted.page, seen);
    return std::nullopt;
}

/// The page is mapped: this is the first write to a clean page; or another thread was faster; or the program has
/// changed the mapping itself.
FaultResolver::Step FaultResolver::allow_access(const FaultedPage& faulted, PageWord seen) FAULTLINE_SIGNAL_SAFE {
    Region& region = faulted.region;
    mmu::Mapper& mapper = region.mapper();
    const bool first_write = faulted.write() && !seen.dirty();
    std::byte* const page = region.address_of(faulted.page);
    if (!first_write && mapper.is_mapped(page, region.page_bytes())) return FaultOutcome::already_resolved;
    // Owned while the kernel works: else the page could leave and come back write-protected, and lose its protection.
    if (!region.try_change(faulted.page, seen, seen.claimed_for_change())) return std::nullopt;
    // A page that is not mapped as it should be was dropped by the program. If it is zeros now, these are newer than
    // its copy in the store.
    const bool dirty = faulted.write() || seen.dirty() || mapper.loses_dropped_bytes();
    const int error = context_.room.retry([&] {
        if (first_write) return mapper.make_writable(page, region.page_bytes());
        return mapper.restore(page, region.page_bytes(), seen.protection(), dirty);
    });
    FAULTLINE_REQUIRE(error == 0 || sys::is_transient(error),
                      "a page cannot be made usable: has the program unmapped or remapped managed memory?");
    const bool now_dirty = error == 0 ? dirty : seen.dirty();
    const bool for_good = error == 0 && first_write && give_up_stored_bytes(faulted);
    region.publish(faulted.page, [=](PageWord word) {
        return for_good ? word.change_ended_for_good() : word.change_ended(now_dirty);
    });
    core_.budget.notify();
    if (error != 0) return try_later(faulted, error);
    if (!first_write) return FaultOutcome::already_resolved;
    region.counters().add(Count::write_faults);
    account(core_, faulted, FaultKind::write);
    return FaultOutcome::resolved;
}

/// Frees the compressed memory of a page that becomes dirty, which the caller owns. Returns false if the bytes are
/// elsewhere: freeing a slot of the file would gain nothing now.
bool FaultResolver::give_up_stored_bytes(const FaultedPage& faulted) const FAULTLINE_SIGNAL_SAFE {
    const Region& region = faulted.region;
    if (!is_only_compressed(region, faulted.page)) return false;
    region.store().discard(region.offset_of(faulted.page), region.page_bytes());
    return true;
}

/// The page is absent.
FaultResolver::Step FaultResolver::fill(const FaultedPage& faulted, PageWord seen) FAULTLINE_SIGNAL_SAFE {
    core_.await_put_off(seen.has_slot());
    PageFill fill{context_, faulted};
    switch (fill.claim_page(seen)) {
        case PageFill::Claim::lost:
            return std::nullopt;
        case PageFill::Claim::no_frames:
            return FaultOutcome::failed;
        case PageFill::Claim::done:
            break;
    }
    if (!seen.has_slot()) {
        read_ahead_.claim_untouched_neighbours(fill, faulted, seen);
        return fill.fill_with_zeros();
    }
    if (fill.fill_from_shared_frame()) return FaultOutcome::resolved;
    read_ahead_.claim_stored_neighbours(fill, faulted, seen);
    return read(fill, faulted);
}

/// A handler thread leaves the read to the reader thread, unless no other read is in flight. A thread that faulted for
/// itself has nothing else to do and reads at once.
FaultOutcome FaultResolver::read(PageFill& fill, const FaultedPage& faulted) FAULTLINE_SIGNAL_SAFE {
    std::optional<AsyncReader::Alone> alone;  // until the page is mapped
    AsyncReader* const reader = read_ahead_.reader();
    if (reader != nullptr && faulted.fault.origin == core::FaultOrigin::handler_thread) {
        alone.emplace(*reader);
        if (!*alone && reader->begin(fill)) return FaultOutcome::deferred;
    }
    return fill.fill_from_store();
}

/// The page is staged: its frame and its bytes are still in memory.
FaultResolver::Step FaultResolver::take_back(const FaultedPage& faulted, PageWord seen) FAULTLINE_SIGNAL_SAFE {
    Region& region = faulted.region;
    mmu::Mapper& mapper = region.mapper();
    const StagingUnit unit = seen.payload();
    // A frame that stayed in place comes back in any case: a write of its bytes that is in flight does no harm to a
    // page that is dirty again. A frame that moved can go back if the page may arrive writable and no write needs the
    // slot. Else the bytes are copied to a new frame, and the old one is freed with its batch.
    bool dirty = faulted.write() || seen.dirty();
    bool frame_goes_along = mapper.should_unstage(dirty && seen.protection() == Access::read_write, seen.writing());
    FrameReservation frames;
    if (!frame_goes_along) {
        frames = context_.reclaimer.reserve(region.page_units());
        if (!frames && seen.writing()) {
            region.wait(faulted.page, seen);  // until the write ends and the frame may go along
            return std::nullopt;
        }
        // Without a free frame the old one goes along, and a clean page counts as dirty.
        if (!frames) frame_goes_along = dirty = true;
    }
    if (!region.try_change(faulted.page, seen, seen.claimed_for_fill())) return std::nullopt;
    std::byte* const slot = core_.staging.address_of(unit);
    std::byte* const page = region.address_of(faulted.page);
    const int error = context_.room.retry([&] {
        if (frame_goes_along) return mapper.unstage(slot, page, region.page_bytes(), seen.protection(), dirty);
        return mapper.install(page, slot, region.page_bytes(),
                              dirty ? Protection::writable : Protection::write_protected);
    });
    if (sys::is_transient(error)) {
        // The bytes are newer than the store's if a part of the page, or one of its views, was writable for a moment.
        const bool newer = seen.dirty() || (frame_goes_along && (dirty || region.page_units() > 1));
        return leave_staged(faulted, newer, error);
    }
    FAULTLINE_REQUIRE(error == 0, "a staged page cannot be mapped again: the kernel is out of memory");
    if (frame_goes_along) {
        core_.staging.frame_taken_back(unit);
        frames = FrameReservation{core_.budget, region.page_units()};  // the batch's until now
    }
    publish_page(context_, region, faulted.page, {dirty}, {Arrival::Kind::soft_fault}, frames);
    region.counters().add(Count::soft_faults);
    account(core_, faulted, FaultKind::soft);
    return FaultOutcome::resolved;
}

/// filling -> staged: the kernel could not map the page again.
FaultOutcome FaultResolver::leave_staged(const FaultedPage& faulted, bool dirty, int error) FAULTLINE_SIGNAL_SAFE {
    faulted.region.publish(faulted.page,
                           [dirty](PageWord word) { return word.fill_abandoned(PageState::staged).with_dirty(dirty); });
    return try_later(faulted, error);
}

/// The kernel has refused for longer than the pager waits, and the page is as it was. Where the fault came as a signal,
/// the access gets SIGBUS; else it is repeated, and waits again.
FaultOutcome FaultResolver::try_later(const FaultedPage& faulted, int error) FAULTLINE_SIGNAL_SAFE {
    faulted.region.counters().add(Count::failed_faults);
    report_failure(core_, faulted, Event::Kind::map_failed, error);
    return FaultOutcome::failed;
}

}  // namespace faultline::pager
