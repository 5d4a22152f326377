// The fault path. Read `resolve_in` first: it is the list of steps that docs/life-of-a-page-fault.md walks through.

#include "pager/pager.hpp"

#include "core/check.hpp"
#include "pager/region_tree.hpp"
#include "sys/clock.hpp"
#include "sys/cpu.hpp"
#include "sys/page_merging.hpp"
#include "sys/transient.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <chrono>
#include <optional>

namespace faultline::detail {

using core::FaultOrigin;
using core::FaultOutcome;
using core::PageFault;
using core::PageState;
using core::PageWord;
using Protection = mmu::Protection;
using PrefetchKind = policy::PrefetchFault::Kind;

namespace {

/// What the pages beside one must be usable for, which come in with it and are mapped in the same way.
Access access_beside(PageWord page, bool for_writing) FAULTLINE_SIGNAL_SAFE {
    if (for_writing) return Access::read_write;
    return page.protection() == Access::read_execute ? Access::read_execute : Access::read;
}

}  // namespace

FaultOutcome Pager::resolve(const PageFault& fault) FAULTLINE_SIGNAL_SAFE {
    const RegionReader reader;
    Region* const region = RegionTree::find(fault.address);
    if (region == nullptr) return FaultOutcome::not_ours;

    Pager& pager = region->pager();
    // Where the MMU checks access by itself, its word is final: we have nothing to add.
    if (fault.refused && pager.mapper_.checks_access()) return FaultOutcome::access_violation;
    // Nobody has any business at a shared region's own addresses, except who pins, or brings back what was pinned.
    if (region->shared() && fault.origin != FaultOrigin::control_call) return FaultOutcome::access_violation;
    Work work{pager.place_of(*region, fault.address), fault, sys::ticks()};
    const FaultOutcome outcome = pager.resolve_in(work);
    pager.account(work);
    return outcome;
}

/// Where the page at an address of `region` is: there, or in a shared region of which there is a view.
Pager::Place Pager::place_of(Region& region, std::uintptr_t address) const FAULTLINE_SIGNAL_SAFE {
    const mmu::SharedViews* const views = mapper_.views();
    const mmu::SharedView* const view = views == nullptr ? nullptr : views->at(address);
    if (view == nullptr) return {region, region.page_of(address)};
    Region& shared = *RegionTree::find(view->source);
    return {shared, shared.page_of(view->source_of(address)), &region, region.page_of(address)};
}

/// What was resolved is counted, as far as it was a fault of the program's and is done.
void Pager::account(const Work& work) FAULTLINE_SIGNAL_SAFE {
    latencies_.record(work.kind, sys::ticks() - work.started);
    if (trace_ && work.kind != FaultKind::none) trace_->record(work.region.address_of(work.page), work.write());
}

core::ViolationReport Pager::report(const PageFault& fault) FAULTLINE_SIGNAL_SAFE {
    const RegionReader reader;
    const Region* const region = RegionTree::find(fault.address);
    if (region != nullptr && region->owner() != nullptr) return region->owner()->report(fault);
    core::ViolationReport report;
    report.violation.address = reinterpret_cast<const void*>(fault.address);  // NOLINT: as the kernel has said it
    report.violation.kind = ViolationKind::forbidden;
    return report;
}

FaultOutcome Pager::resolve_in(Work& work) FAULTLINE_SIGNAL_SAFE {
    if (frames_are_few_.load(std::memory_order_relaxed)) guard_.faulted(work.fault.thread, work.region.ref(work.page));
    for (;;) {
        const PageWord seen = work.region.load(work.page);
        if (forbidden(work, seen)) {
            // Where the MMU itself checks, a change of protection is under way, and the repeated access is told so.
            return mapper_.checks_access() ? FaultOutcome::already_resolved : FaultOutcome::access_violation;
        }
        Step step;
        switch (seen.state()) {
            case PageState::filling:
            case PageState::evicting:
                step = wait_for_owner(work, seen);
                break;
            case PageState::resident:
                step = allow_access(work, seen);
                break;
            case PageState::empty:
            case PageState::stored:
                step = bring_in(work, seen);
                break;
            case PageState::staged:
                step = take_back(work, seen);
                break;
            case PageState::poisoned:
                return FaultOutcome::failed;
        }
        if (step) return *step;
    }
}

bool Pager::forbidden(const Work& work, PageWord seen) const FAULTLINE_SIGNAL_SAFE {
    const Access allowed = work.access(seen);
    switch (work.fault.access) {
        case core::FaultAccess::read:
            return allowed == Access::none;
        case core::FaultAccess::write:
            return allowed != Access::read_write;
        case core::FaultAccess::execute:
            // Where the MMU checks access, it asks for an absent page first, and refuses to execute it when it is
            // there.
            return mapper_.checks_access() ? allowed == Access::none : allowed != Access::read_execute;
    }
    return true;
}

/// Somebody else is at the page. A handler thread, which others wait for, leaves it to them to wake who faulted.
Pager::Step Pager::wait_for_owner(Work& work, PageWord seen) FAULTLINE_SIGNAL_SAFE {
    if (work.fault.origin == FaultOrigin::handler_thread) {
        if (!work.region.announce_waiter(work.page, seen)) return std::nullopt;
        return FaultOutcome::deferred;
    }
    work.region.wait(work.page, seen);
    return std::nullopt;
}

/// The page is mapped: this is the first write to a clean one; or another thread was faster; or the program has changed
/// the mapping itself.
Pager::Step Pager::allow_access(Work& work, PageWord seen) FAULTLINE_SIGNAL_SAFE {
    Region& region = work.region;
    const bool first_write = work.write() && !seen.dirty();
    std::byte* const page = region.address_of(work.page);
    if (!first_write && mapper_.is_mapped(page, region.page_bytes())) return FaultOutcome::already_resolved;
    // Owned while the kernel works: else the page could leave and come back protected, and lose its protection to us.
    if (!region.try_change(work.page, seen, seen.claimed_for_change())) return std::nullopt;
    // Where the MMU checks access, what was not as it should be is gone: the page is zeros, and newer than its home.
    // Not so in a view: it has not shown the page yet, which others have.
    const bool dirty = work.write() || seen.dirty() || (mapper_.checks_access() && work.view == nullptr);
    const int error = filler_.with_room([&] {
        if (first_write) return mapper_.allow_writes(page, region.page_bytes());
        const bool writable = dirty && (mapper_.checks_access() || seen.protection() == Access::read_write);
        return mapper_.restore(page, region.page_bytes(), mmu::shown_for(seen.protection(), writable));
    });
    FAULTLINE_REQUIRE(error == 0 || sys::is_transient(error),
                      "a page cannot be made usable: has the program unmapped or remapped managed memory?");
    const bool now_dirty = error == 0 ? dirty : seen.dirty();
    region.publish(work.page, [now_dirty](PageWord word) { return word.filled(word.payload(), now_dirty); });
    budget_.changed();
    if (error != 0) return not_now(work, error);
    if (!first_write) return FaultOutcome::already_resolved;
    region.counters().add(Count::write_faults);
    work.kind = FaultKind::write;
    return FaultOutcome::resolved;
}

/// The page is absent: claim it, get a frame, fill it, map it, publish it.
Pager::Step Pager::bring_in(Work& work, PageWord seen) FAULTLINE_SIGNAL_SAFE {
    if (!work.region.try_change(work.page, seen, seen.claimed_for_fill())) return std::nullopt;
    FrameReservation frames = reserve_frames(work);
    if (!frames) return give_up(work, seen.state(), Event::Kind::frames_exhausted, ENOSPC);
    filler_.spare_mappings();
    if (!seen.has_slot()) return fill_with_zeros(work, std::move(frames));
    if (take_over(work, seen, frames)) return FaultOutcome::resolved;
    return fill_from_store(work, seen, std::move(frames));
}

/// Another page has the same bytes in a frame: no read is needed.
bool Pager::take_over(Work& work, PageWord seen, FrameReservation& frames) FAULTLINE_SIGNAL_SAFE {
    if (!shared_frames_.take(work.region, work.page, work.write(), work.fault.thread)) return false;
    const policy::Arrival arrival = Evictor::hard_arrival(seen.payload(), evictor_.sequence());
    filler_.publish(work.region, work.page, work.write(), arrival, frames);
    work.region.counters().add(Count::soft_faults);
    work.kind = FaultKind::soft;
    return true;
}

/// Maps the page as zeros, and its untouched neighbours with it where the program fills memory in order. Those count as
/// touched the same way: what is never written to is zeros when it leaves, and costs no I/O.
FaultOutcome Pager::fill_with_zeros(Work& work, FrameReservation frames) FAULTLINE_SIGNAL_SAFE {
    Region& region = work.region;
    const PageWord claimed_word = region.load(work.page);
    const Protection protection = mmu::shown_for(claimed_word.protection(), work.write());
    // Zeros are copied from where there are enough for the largest page.
    const std::uint64_t at_once = std::min<std::uint64_t>(zeros_.size() / region.page_bytes(), PageWindow::kMost);
    const policy::PrefetchWindow wanted =
        wanted_beside(work, PrefetchKind::first_touch, static_cast<std::uint32_t>(at_once), true);
    const Access access = access_beside(claimed_word, work.write());
    const PageWindow claimed = claim_beside(work, wanted, PageState::empty, access, frames);
    const PageWindow run = claimed.run_around(work.page);
    filler_.abandon(region, {claimed.first, claimed.mask & ~run.mask}, PageState::empty);
    const int error = filler_.with_room([&] {
        return mapper_.install(region.address_of(run.lowest()), zeros_.data(), run.count() * region.page_bytes(),
                               protection);
    });
    if (error != 0) {
        filler_.abandon(region, run.without(work.page), PageState::empty);
        return give_up(work, PageState::empty, Event::Kind::map_failed, error);
    }
    run.for_each([&](std::uint64_t page) {
        filler_.publish(region, page, work.write(), {policy::Arrival::Kind::first_touch}, frames);
    });
    region.counters().add(Count::first_touches, static_cast<std::int64_t>(run.count()));
    work.kind = FaultKind::first_touch;
    return FaultOutcome::resolved;
}

/// Reads the page, and those beside it that a walk will want: as many as fit one read with it, the others while the
/// program goes on.
FaultOutcome Pager::fill_from_store(Work& work, PageWord seen, FrameReservation frames) FAULTLINE_SIGNAL_SAFE {
    Region& region = work.region;
    const policy::Arrival arrival = Evictor::hard_arrival(seen.payload(), evictor_.sequence());
    const auto at_once = static_cast<std::uint32_t>(Filler::most_at_once(region));
    const policy::PrefetchWindow wanted =
        wanted_beside(work, PrefetchKind::hard, at_once, arrival.evictions_ago < budget_.limit() / 4);
    // After a tripwire, the window begins further on.
    const std::uint32_t with_page = wanted.continues(region.ref(work.page).bits()) ? at_once - 1 : 0;
    const PageWindow window =
        claim_beside(work, wanted.front(with_page), PageState::stored, access_beside(seen, false), frames).trimmed();
    if (wanted.count > with_page) want_in_background(region, wanted.without_front(with_page));
    Fill fill{&region,      window, work.fault,         arrival,  std::move(frames),
              work.started, true,   wanted.for_writing, work.page};
    // A handler thread has others to serve, unless it is alone; whoever faulted for himself has nothing better to do.
    std::optional<AsyncReader::Alone> alone;  // until the page is mapped
    if (async_reader_ && work.fault.origin == FaultOrigin::handler_thread) {
        alone.emplace(*async_reader_);
        if (!*alone && async_reader_->begin(fill)) return FaultOutcome::deferred;
    }
    return mapped_or_given_up(work, fill, filler_.read_and_map(region, window, work.writable_in(window)));
}

/// A read that was begun for a handler thread has ended; without `bytes`, short or with an error, which the store's own
/// way of reading deals with.
void Pager::finish_fill(Fill& fill, std::span<const std::byte> bytes) noexcept {
    Region& region = *fill.region;
    Work work{{region, fill.asked_for ? fill.page : fill.window.first}, fill.fault, fill.started};
    const std::uint64_t writable = fill.asked_for ? work.writable_in(fill.window) : 0;
    int error = 0;
    if (bytes.empty()) {
        error = filler_.read_and_map(region, fill.window, writable);
    } else {
        region.counters().add(Count::bytes_read, static_cast<std::int64_t>(bytes.size()));
        error = filler_.map(region, fill.window, writable, bytes);
    }
    if (!fill.asked_for) return come_ahead(fill, error);
    static_cast<void>(mapped_or_given_up(work, fill, error));
    account(work);
}

/// The pages of `fill`, which nobody has asked for yet, are mapped and are published, or are left where they were: the
/// access itself will report the error.
void Pager::come_ahead(Fill& fill, int error) FAULTLINE_SIGNAL_SAFE {
    if (error == 0) {
        filler_.publish_read_ahead(*fill.region, fill.window, fill.for_writing, fill.frames);
    } else {
        filler_.abandon(*fill.region, fill.window, PageState::stored);
    }
}

/// The pages of `fill` are mapped and are published, or `error` says why they are not.
FaultOutcome Pager::mapped_or_given_up(Work& work, Fill& fill, int error) FAULTLINE_SIGNAL_SAFE {
    Region& region = work.region;
    if (error != 0 && fill.window.count() > 1) {
        // One page of several cannot be read: whoever needs the others asks for them.
        filler_.abandon(region, fill.window.without(work.page), PageState::stored);
        fill.window = {work.page, 1};
        error = filler_.read_and_map(region, fill.window, work.writable_in(fill.window));
    }
    if (error != 0) {
        region.counters().add(Count::read_errors);
        return give_up(work, PageState::poisoned, Event::Kind::read_failed, error);
    }
    filler_.publish(region, work.page, work.write(), fill.arrival, fill.frames);
    filler_.publish_read_ahead(region, fill.window.without(work.page), fill.for_writing, fill.frames);
    region.counters().add(Count::hard_faults);
    work.kind = FaultKind::hard;
    return FaultOutcome::resolved;
}

/// The page is staged: its frame is still here, and so are its bytes.
Pager::Step Pager::take_back(Work& work, PageWord seen) FAULTLINE_SIGNAL_SAFE {
    Region& region = work.region;
    const StagingUnit unit = seen.payload();
    // A frame that has stayed comes back in any case: a write of its bytes that is in flight does no harm to a page
    // that is dirty again. One that moved can go back if it may arrive writable and no such write needs the slot. Else
    // the bytes are copied to a new frame, and the old one is freed with its batch.
    const mmu::StagedFrames kind = region.staged_frames();
    bool dirty = work.write() || seen.dirty();
    bool frame_goes_along =
        kind == mmu::StagedFrames::stay ||
        (kind == mmu::StagedFrames::move && dirty && !seen.writing() && seen.protection() == Access::read_write);
    FrameReservation frames;
    if (!frame_goes_along) {
        frames = reserve_frames(work);
        if (!frames && seen.writing()) {
            region.wait(work.page, seen);  // until its bytes may go along
            return std::nullopt;
        }
        // No frame to be had: then it goes along, and a clean page counts as dirty.
        if (!frames) frame_goes_along = dirty = true;
    }
    if (!region.try_change(work.page, seen, seen.claimed_for_fill())) return std::nullopt;
    std::byte* const slot = staging_.address_of(unit);
    std::byte* const page = region.address_of(work.page);
    const Protection protection = mmu::shown_for(seen.protection(), dirty && seen.protection() == Access::read_write);
    const int error = filler_.with_room([&] {
        if (frame_goes_along) return mapper_.unstage(slot, page, region.page_bytes(), protection);
        return mapper_.install(page, slot, region.page_bytes(),
                               dirty ? Protection::writable : Protection::write_protected);
    });
    // The page is still in its slot, newer than its copy if a part of it was mapped for a moment. Where frames stay, a
    // part of a page of several units may still be mapped.
    if (sys::is_transient(error) && (region.page_units() == 1 || kind != mmu::StagedFrames::stay)) {
        const bool newer = seen.dirty() || (frame_goes_along && region.page_units() > 1);
        region.publish(work.page,
                       [newer](PageWord word) { return word.fill_abandoned(PageState::staged).with_dirty(newer); });
        return not_now(work, error);
    }
    FAULTLINE_REQUIRE(error == 0, "a staged page cannot be mapped again: the kernel is out of memory");
    if (frame_goes_along) {
        staging_.frame_left(unit);
        frames = FrameReservation{budget_, region.page_units()};  // the batch's until now
    }
    filler_.publish(region, work.page, dirty, {policy::Arrival::Kind::soft_fault}, frames);
    region.counters().add(Count::soft_faults);
    work.kind = FaultKind::soft;
    return FaultOutcome::resolved;
}

/// The fault cannot be answered, and the page, which we own, goes back. `back_to` poisoned: it stays out of reach until
/// Region::retry or discard.
FaultOutcome Pager::give_up(Work& work, PageState back_to, Event::Kind reason, int error) FAULTLINE_SIGNAL_SAFE {
    Region& region = work.region;
    tell_of_failure(work, {reason, error, work.fault.address});
    // A thread asleep in the kernel learns of the failure only through the page itself; so does one whose fault came as
    // SIGSEGV, and must end as SIGBUS. A control call is told, and whoever sleeps meanwhile tries for himself.
    const bool by_the_page = (region.kernel_sleepers() || !mapper_.checks_access()) &&
                             (work.fault.origin != FaultOrigin::control_call || back_to == PageState::poisoned);
    if (by_the_page) back_to = PageState::poisoned;
    if (by_the_page && mapper_.can_poison()) {
        sys::TransientWait wait{"poisoning a page"};
        int poisoned = 0;
        do {
            poisoned = mapper_.poison(region.address_of(work.page), region.page_bytes());
        } while (wait.again(poisoned));
        FAULTLINE_REQUIRE(poisoned == 0, "a page that cannot come cannot be poisoned either");
    }
    region.publish(work.page, [back_to](PageWord word) {
        return back_to == PageState::poisoned ? word.fill_failed() : word.fill_abandoned(back_to);
    });
    region.counters().add(Count::failed_faults);
    return FaultOutcome::failed;
}

/// Returns once the message is out, or after a moment: SIGBUS ends most programs at once.
void Pager::tell_of_failure(const Work& work, const Event& event) FAULTLINE_SIGNAL_SAFE {
    constexpr std::chrono::milliseconds kPatience{100};
    const EventLog::Ticket ticket = log_.record(event);
    if (!housekeeper_) return;
    housekeeper_->wake();
    if (work.fault.origin != FaultOrigin::control_call) log_.wait_until_told(ticket, kPatience);
}

/// The kernel has refused for longer than it is waited for, and the page is as it was: where the fault came as a
/// signal, the access gets SIGBUS; else it is repeated, and waits again.
FaultOutcome Pager::not_now(Work& work, int error) FAULTLINE_SIGNAL_SAFE {
    work.region.counters().add(Count::failed_faults);
    tell_of_failure(work, {Event::Kind::map_failed, error, work.fault.address});
    return FaultOutcome::failed;
}

// ---- frames

FrameReservation Pager::reserve_frames(Work& work) FAULTLINE_SIGNAL_SAFE {
    const std::int64_t units = work.region.page_units();
    if (!budget_.try_reserve(units) && !reclaim_for(units)) return {};
    wake_evictor_when_low();
    return {budget_, units};
}

void Pager::wake_evictor_when_low() FAULTLINE_SIGNAL_SAFE {
    if (!housekeeper_) return;
    const std::int64_t low = (keep_free_.load(std::memory_order_relaxed) + 1) / 2;
    if (budget_.available() < low || mapper_.low_on_mappings()) housekeeper_->wake();
}

/// The evictor has fallen behind: evict for ourselves until the frames are ours. False only when the store has refused
/// pages, or the kernel held them, for longer than a full disk is waited for.
bool Pager::reclaim_for(std::int64_t units) FAULTLINE_SIGNAL_SAFE {
    counters_.add(Count::direct_reclaims);
    if (housekeeper_ && most_kept_free_.load(std::memory_order_relaxed) > 0) housekeeper_->wake();
    std::chrono::nanoseconds give_up_at{};
    for (;;) {
        const FrameBudget::Watch watch{budget_};
        if (budget_.try_reserve(units)) return true;
        const Reclaimed reclaimed = reclaim_directly(units);
        if (budget_.try_reserve(units)) return true;
        const bool store_refuses = reclaimed.write_error != 0 && reclaimed.units == 0;
        const bool kernel_refuses = reclaimed.refused && !reclaimed.progress;
        if (store_refuses || kernel_refuses) {
            // Neither says when it changes its mind: look again soon, but not for ever.
            const std::chrono::nanoseconds now = sys::monotonic_time();
            if (give_up_at.count() == 0) give_up_at = now + config_.full_disk_patience;
            if (now >= give_up_at) return false;
            if (reserve_within(units, std::chrono::milliseconds{kernel_refuses ? 1 : 10})) return true;
        } else if (!reclaimed.progress) {
            watch.wait(nullptr);  // all frames are in other threads' hands, who will be done
        }
    }
}

/// Waits for frames that others free, without asking store or kernel again. False when `pause` is over.
bool Pager::reserve_within(std::int64_t units, std::chrono::nanoseconds pause) FAULTLINE_SIGNAL_SAFE {
    const std::chrono::nanoseconds until = sys::monotonic_time() + pause;
    for (;;) {
        const FrameBudget::Watch watch{budget_};
        if (budget_.try_reserve(units)) return true;
        const std::chrono::nanoseconds left = until - sys::monotonic_time();
        if (left.count() <= 0) return false;
        watch.wait(&left);
    }
}

Reclaimed Pager::reclaim_directly(std::int64_t units) FAULTLINE_SIGNAL_SAFE {
    store::SequentialWriteQueue queue;
    const std::size_t keep_staged = housekeeper_ ? 0 : staging_target_.load(std::memory_order_relaxed);
    return evictor_.free_frames(units, direct_batch_.load(std::memory_order_relaxed), keep_staged, queue);
}

void Pager::keep_house(store::WriteQueue& queue) {
    while (mapper_.low_on_mappings()) {
        const RegionReader reader;
        queue.set_pace(store::Pace::hurried);
        const Reclaimed reclaimed = evictor_.evict_fragmenting(queue);
        if (!reclaimed.progress || reclaimed.write_error != 0) break;
    }
    sys::PageMerging::look_now_and_then();
    evict_ahead(queue);
    log_.drain();
    report_later_handler();
}

/// How many frames the evictor keeps free for faults to come: a 50th of the limit, but no more than there are pages in
/// the store that have no frame even when all are taken. What fits stays, to the page.
std::int64_t Pager::frames_to_keep_free() FAULTLINE_SIGNAL_SAFE {
    const std::int64_t most = most_kept_free_.load(std::memory_order_relaxed);
    std::int64_t without = -budget_.available();
    const RegionReader reader;
    regions_.for_each_until([&](const Region& region) {
        without += region.counters().sum(Count::swapped) * region.page_units();
        return without >= most;
    });
    return std::clamp<std::int64_t>(without, 0, most);
}

void Pager::evict_ahead(store::WriteQueue& queue) FAULTLINE_SIGNAL_SAFE {
    for (;;) {
        const std::int64_t keep = frames_to_keep_free();
        keep_free_.store(keep, std::memory_order_relaxed);
        const std::int64_t available = budget_.available();
        if (available >= keep) return;
        const RegionReader reader;
        queue.set_pace(available < keep / 4 ? store::Pace::hurried : store::Pace::calm);
        // No more pages at once than are wanted: of a small memory, a full batch would be a quarter.
        const std::int64_t wanted = std::min<std::int64_t>(keep - available, StagingBatch::kMostPages);
        const Reclaimed reclaimed =
            evictor_.free_frames(wanted, static_cast<std::size_t>(wanted), staging_target_.load(), queue);
        if (!reclaimed.progress || reclaimed.write_error != 0) return;
        if (stores_->wants_upkeep()) static_cast<void>(stores_->keep_up(queue));  // what fails is tried again
    }
}

// ---- what comes along

/// What a walk will want beside the page, which is one fault of it. `at_once`: how many pages can come with the page.
policy::PrefetchWindow Pager::wanted_beside(const Work& work, PrefetchKind kind, std::uint32_t at_once,
                                            bool left_lately) FAULTLINE_SIGNAL_SAFE {
    const Region& region = work.region;
    // Half of what is free: others fault, too.
    const std::int64_t free_pages = budget_.available() / (2 * region.page_units());
    if (!config_.read_ahead || at_once < 2 || free_pages <= 0) return {};
    const bool goes_on_later = kind == PrefetchKind::hard && async_reader_;
    const std::int64_t most = goes_on_later ? free_pages : std::min<std::int64_t>(free_pages, at_once - 1);
    const std::uint64_t page = region.ref(work.page).bits();
    const std::scoped_lock lock{streams_lock_};
    if (goes_on_later && streams_.is_tripwire(page)) kind = PrefetchKind::tripwire;
    return streams_.on_fault({page, work.fault.thread, kind, work.write(), left_lately},
                             {region.pages(), region.page_bytes(), static_cast<std::uint32_t>(most), at_once - 1},
                             region.expected_at(work.page));
}

/// Claims what is absent of the window, which is all beside the one page that the caller owns. Returns them with it.
PageWindow Pager::claim_beside(const Work& work, const policy::PrefetchWindow& wanted, PageState absent, Access access,
                               FrameReservation& frames) FAULTLINE_SIGNAL_SAFE {
    if (wanted.count == 0) return {work.page, 1};
    Region& region = work.region;
    const std::uint64_t lowest = std::min<std::uint64_t>(core::PageRef::from(wanted.lowest()).page, work.page);
    const PageWindow beside{lowest, wanted.mask_from(region.ref(lowest).bits())};
    PageWindow claimed = filler_.claim(region, absent, beside, access, frames);
    claimed.mask |= claimed.bit_of(work.page);
    wake_evictor_when_low();
    return claimed;
}

/// What does not come with the page itself is read while the program goes on; but not the tripwire, whose fault tells
/// that it is time for more. When the reader's list is full, the program will ask for the pages itself.
void Pager::want_in_background(Region& region, const policy::PrefetchWindow& wanted) FAULTLINE_SIGNAL_SAFE {
    const auto want = [&](std::uint64_t first, std::uint64_t end) {
        if (first >= end) return;
        const core::PageRange pages{core::PageRef::from(first).page, end - first};
        static_cast<void>(async_reader_->want({region.id(), pages, wanted.for_writing}));
    };
    const std::uint64_t first = wanted.lowest();
    const std::uint64_t end = first + wanted.span();
    const bool forward = wanted.stride > 0;
    if (wanted.tripwire < first || wanted.tripwire >= end) return want(first, end);
    if (forward) want(first, wanted.tripwire);
    want(wanted.tripwire + 1, end);
    if (!forward) want(first, wanted.tripwire);
}

}  // namespace faultline::detail
