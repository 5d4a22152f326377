#include "pager/fault/page_fill.hpp"

#include "core/check.hpp"
#include "pager/region/stored_bytes.hpp"
#include "sys/clock.hpp"
#include "sys/transient.hpp"

#include <algorithm>
#include <cerrno>

namespace faultline::pager {

using core::FaultOutcome;
using core::PageState;
using core::PageWord;
using mmu::Protection;

PageFill::PageFill(FillContext& context, const FaultedPage& faulted) FAULTLINE_SIGNAL_SAFE : context_{&context},
                                                                                             region_{&faulted.region},
                                                                                             faulted_{faulted} {}

PageFill::PageFill(FillContext& context, Region& region, bool for_writing) FAULTLINE_SIGNAL_SAFE
    : context_{&context},
      region_{&region},
      frames_{context.core.budget, 0},
      for_writing_{for_writing} {}

std::uint64_t PageFill::most_pages(const Region& region) noexcept {
    return std::clamp<std::uint64_t>(BufferPool::kBufferBytes / region.page_bytes(), 1, PageWindow::kMost);
}

// ---- claim and reserve

PageFill::Claim PageFill::claim_page(PageWord seen) FAULTLINE_SIGNAL_SAFE {
    const std::uint64_t page = faulted_->page;
    if (!region_->try_change(page, seen, seen.claimed_for_fill())) return Claim::lost;
    window_ = {page, 1};
    begin_miss(seen);
    frames_ = context_->reclaimer.reserve(region_->page_units());
    if (!frames_) {
        give_up(seen.state(), Event::Kind::frames_exhausted, ENOSPC);
        return Claim::no_frames;
    }
    context_->room.spare_mappings();
    arrival_ =
        seen.has_slot() ? context_->core.departures.arrival(seen.payload()) : Arrival{Arrival::Kind::first_touch};
    expects_write_ = will_be_written(seen);
    if (counts_miss()) had_frame_ = sys::monotonic_time();
    return Claim::done;
}

/// Notes when the fault begins, and where the bytes are: the split of memory is judged by it.
void PageFill::begin_miss(PageWord seen) FAULTLINE_SIGNAL_SAFE {
    if (context_->core.config.memory_limit == 0 || !seen.has_slot()) return;
    const store::Whereabouts::Place place = region_->store().whereabouts(region_->offset_of(faulted_->page)).place;
    if (place != store::Whereabouts::Place::swap_file && place != store::Whereabouts::Place::compressed) return;
    from_disk_ = place == store::Whereabouts::Place::swap_file;
    started_ = sys::monotonic_time();
}

void PageFill::end_miss() const FAULTLINE_SIGNAL_SAFE {
    if (!counts_miss()) return;
    context_->core.misses.record(arrival_.evictions_ago, from_disk_, had_frame_ - started_,
                                 sys::monotonic_time() - had_frame_);
}

/// Wakes the housekeeper when it is time to look how long the program waits for pages.
void PageFill::watch_for_thrashing() const FAULTLINE_SIGNAL_SAFE {
    PagerCore& core = context_->core;
    if (core.thrash.record(arrival_.evictions_ago) && core.thrash.is_due(sys::monotonic_time())) {
        core.wake_housekeeper();
    }
}

/// Returns true if a page that is read is to come in writable: see PageWord::written_before. That saves the
/// write fault. Whether the page was written to is seen by its checksum when it leaves. Pages with bytes that several
/// regions share come in clean, so that they use one frame in turn.
bool PageFill::will_be_written(PageWord seen) const FAULTLINE_SIGNAL_SAFE {
    return seen.written_before() && seen.has_slot() && !faulted_->write() && region_->page_units() == 1 &&
           !region_->shared() && region_->access_to(faulted_->page, seen) == Access::read_write &&
           region_->store().shared_bytes(region_->offset_of(faulted_->page)).note == nullptr;
}

void PageFill::claim_neighbours(PageState absent, PageWindow wanted, Access access) FAULTLINE_SIGNAL_SAFE {
    FrameBudget& budget = context_->core.budget;
    PageWindow claimed{wanted.first, 0};
    wanted.for_each([&](std::uint64_t page) {
        PageWord seen = region_->load(page);
        const Access allowed = region_->access_to(page, seen);
        const bool usable = allowed == access || (access == Access::read && allowed == Access::read_write);
        if (!seen.is(absent) || !usable) return;
        if (seen.has_slot() && context_->shared_frames.has(*region_, page)) return;  // a fault takes that frame over
        if (!budget.try_reserve(region_->page_units())) return;
        if (!region_->try_change(page, seen, seen.claimed_for_fill())) {
            budget.release(region_->page_units());
            return;
        }
        frames_.add(region_->page_units());
        claimed.mask |= claimed.bit_of(page);
    });
    if (faulted_) claimed.mask |= claimed.bit_of(faulted_->page);
    window_ = claimed.count() > 0 ? claimed.trimmed() : PageWindow{};
    context_->reclaimer.wake_when_low();
}

// ---- read, map, publish

FaultOutcome PageFill::fill_with_zeros() FAULTLINE_SIGNAL_SAFE {
    const PageWindow run = window_.run_around(faulted_->page);
    abandon({window_.first, window_.mask & ~run.mask}, PageState::empty);
    window_ = run;
    const Protection protection = mmu::protection_for(region_->load(faulted_->page).protection(), faulted_->write());
    const int error = context_->room.retry([&] {
        return region_->mapper().install(region_->address_of(run.lowest()), context_->core.zeros.data(),
                                         run.count() * region_->page_bytes(), protection);
    });
    if (error != 0) {
        abandon(run.without(faulted_->page), PageState::empty);
        return give_up(PageState::empty, Event::Kind::map_failed, error);
    }
    // Neighbours count as touched in the same way: a page that is never written is zeros when it leaves, without I/O.
    run.for_each([&](std::uint64_t page) { publish(page, faulted_->write(), arrival_); });
    region_->counters().add(Count::first_touches, static_cast<std::int64_t>(run.count()));
    faulted_->touched = run.count();
    account(context_->core, *faulted_, FaultKind::first_touch);
    return FaultOutcome::resolved;
}

bool PageFill::fill_from_shared_frame() FAULTLINE_SIGNAL_SAFE {
    const FaultedPage& faulted = *faulted_;
    if (!context_->shared_frames.take(*region_, faulted.page, faulted.write(), faulted.fault.thread)) return false;
    publish(faulted.page, faulted.write(), arrival_);
    region_->counters().add(Count::soft_faults);
    account(context_->core, faulted, FaultKind::soft);
    return true;
}

FaultOutcome PageFill::fill_from_store() FAULTLINE_SIGNAL_SAFE { return complete(read_and_map()); }

void PageFill::finish(std::span<const std::byte> bytes) FAULTLINE_SIGNAL_SAFE {
    if (bytes.empty()) {
        static_cast<void>(fill_from_store());
        return;
    }
    region_->counters().add(Count::bytes_read, static_cast<std::int64_t>(bytes.size()));
    static_cast<void>(complete(map(bytes)));
}

/// Reads the pages of the window into a private buffer and maps them. Returns 0 or an errno: then
/// nothing of it is mapped.
int PageFill::read_and_map() FAULTLINE_SIGNAL_SAFE {
    const BufferPool::Buffer buffer{context_->buffers};
    if (region_->page_bytes() > BufferPool::kBufferBytes) return read_and_map_in_pieces(buffer.bytes());
    const std::span<std::byte> bytes = buffer.bytes().first(window_.span() * region_->page_bytes());
    const int error = region_->store().read_pages(reads_into(bytes).span(), &context_->reclaimer);
    if (error != 0) return error;
    region_->counters().add(Count::bytes_read, static_cast<std::int64_t>(bytes.size()));
    return map(bytes);
}

PageFill::Reads PageFill::reads_into(std::span<std::byte> buffer) const noexcept {
    Reads reads;
    window_.for_each_run([&](std::uint64_t first, std::uint64_t count) {
        const std::size_t offset = (first - window_.first) * region_->page_bytes();
        reads.each[reads.count++] = {region_->offset_of(first), buffer.subspan(offset, count * region_->page_bytes())};
    });
    return reads;
}

int PageFill::map(std::span<const std::byte> bytes) FAULTLINE_SIGNAL_SAFE {
    leaves_store_ = may_leave_store();
    if (expects_write_ && !leaves_store_) {
        const std::size_t offset = (faulted_->page - window_.first) * region_->page_bytes();
        checksum_ = store::page_checksum_of(bytes.subspan(offset, region_->page_bytes()));
    }
    // The program may write to a writable page at once, and then it could not be unmapped again without a loss: last.
    const Protection protection = mmu::protection_for(region_->load(window_.lowest()).protection(), false);
    const int error = map_runs(window_.mask & ~writable(), bytes, protection);
    return error != 0 ? error : map_runs(window_.mask & writable(), bytes, Protection::writable);
}

/// Maps the pages of `mask` from `bytes`, neighbours with one call. On error nothing of the window is mapped: nothing
/// of it may be writable yet.
int PageFill::map_runs(std::uint64_t mask, std::span<const std::byte> bytes,
                       Protection protection) FAULTLINE_SIGNAL_SAFE {
    int error = 0;
    PageWindow{window_.first, mask}.for_each_run([&](std::uint64_t first, std::uint64_t count) {
        if (error != 0) return;
        const std::size_t offset = (first - window_.first) * region_->page_bytes();
        error = context_->room.retry([&] {
            return region_->mapper().install(region_->address_of(first), bytes.data() + offset,
                                             count * region_->page_bytes(), protection);
        });
    });
    if (error != 0) window_.for_each([&](std::uint64_t page) { unmap_page(*region_, page); });
    return error;
}

/// A page larger than a buffer is installed in pieces, write-protected until all of them are there.
int PageFill::read_and_map_in_pieces(std::span<std::byte> buffer) FAULTLINE_SIGNAL_SAFE {
    const std::uint64_t page = window_.first;
    std::byte* const base = region_->address_of(page);
    const Protection protection = mmu::protection_for(region_->load(page).protection(), false);
    for (std::size_t offset = 0; offset < region_->page_bytes(); offset += buffer.size()) {
        int error = region_->store().read(region_->offset_of(page) + offset, buffer);
        if (error == 0) {
            error = context_->room.retry(
                [&] { return region_->mapper().install(base + offset, buffer.data(), buffer.size(), protection); });
        }
        if (error != 0) {
            unmap_page(*region_, page);
            return error;
        }
    }
    region_->counters().add(Count::bytes_read, static_cast<std::int64_t>(region_->page_bytes()));
    if (writable() == 0) return 0;
    const int error = region_->mapper().make_writable(base, region_->page_bytes());
    FAULTLINE_REQUIRE(error == 0, "a page cannot be made usable: has the program unmapped or remapped managed memory?");
    return 0;
}

/// Publishes the window, which is mapped if `error` is 0. Else the pages go back: a prefetched page to the store, where
/// an access will report the error; the page of a fault is tried once more alone.
FaultOutcome PageFill::complete(int error) FAULTLINE_SIGNAL_SAFE {
    if (!faulted_) {
        if (error != 0) {
            abandon(window_, PageState::stored);
            return FaultOutcome::failed;
        }
        publish_ahead(window_);
        return FaultOutcome::resolved;
    }
    const std::uint64_t page = faulted_->page;
    if (error != 0 && window_.count() > 1) {
        abandon(window_.without(page), PageState::stored);
        window_ = {page, 1};
        error = read_and_map();
    }
    if (error != 0) {
        region_->counters().add(Count::read_errors);
        return give_up(PageState::poisoned, Event::Kind::read_failed, error);
    }
    publish_faulted();
    publish_ahead(window_.without(page));
    region_->counters().add(Count::hard_faults);
    end_miss();
    watch_for_thrashing();
    account(context_->core, *faulted_, FaultKind::hard, arrival_.evictions_ago);
    return FaultOutcome::resolved;
}

/// Publishes mapped pages that no thread has asked for yet.
void PageFill::publish_ahead(PageWindow pages) FAULTLINE_SIGNAL_SAFE {
    if (pages.count() == 0) return;
    PagerCore& core = context_->core;
    const PageWindow writable = for_writing_ ? make_writable(pages) : PageWindow{pages.first, 0};
    pages.for_each([&](std::uint64_t page) {
        const bool dirty = (writable.mask & writable.bit_of(page)) != 0;
        if (core.config.memory_limit != 0) {
            core.misses.record_ahead(core.departures.arrival(region_->load(page).payload()).evictions_ago);
        }
        publish(page, dirty, {Arrival::Kind::read_ahead});
    });
    region_->counters().add(Count::read_ahead, static_cast<std::int64_t>(pages.count()));
}

/// Makes those of the mapped pages writable that the program may write to, neighbours with one call. Returns them.
PageWindow PageFill::make_writable(PageWindow pages) FAULTLINE_SIGNAL_SAFE {
    PageWindow writable{pages.first, 0};
    pages.for_each([&](std::uint64_t page) {
        if (region_->access_to(page, region_->load(page)) == Access::read_write) writable.mask |= writable.bit_of(page);
    });
    writable.for_each_run([&](std::uint64_t first, std::uint64_t count) {
        const int error = context_->room.retry(
            [&] { return region_->mapper().make_writable(region_->address_of(first), count * region_->page_bytes()); });
        FAULTLINE_REQUIRE(error == 0,
                          "pages cannot be made usable: has the program unmapped or remapped managed memory?");
    });
    return writable;
}

/// Returns true if the store should give up the bytes of the page that was read: it is written to, or will be, and no
/// file has the bytes. Compressed memory holds other pages then. The page is written when it leaves, in any case.
bool PageFill::may_leave_store() const FAULTLINE_SIGNAL_SAFE {
    return writable() != 0 && is_only_compressed(*region_, faulted_->page);
}

/// Publishes the page of the fault, which was read from the store and is mapped.
void PageFill::publish_faulted() FAULTLINE_SIGNAL_SAFE {
    if (leaves_store_) region_->store().discard(region_->offset_of(faulted_->page), region_->page_bytes());
    const bool maybe = expects_write_ && !leaves_store_;
    publish_page(*context_, *region_, faulted_->page, {writable() != 0, maybe ? &checksum_ : nullptr, leaves_store_},
                 arrival_, frames_);
}

void PageFill::publish(std::uint64_t page, bool dirty, const Arrival& arrival) FAULTLINE_SIGNAL_SAFE {
    publish_page(*context_, *region_, page, {dirty}, arrival, frames_);
}

/// filling -> `absent` (stored or empty): the pages will not be filled.
void PageFill::abandon(PageWindow pages, PageState absent) FAULTLINE_SIGNAL_SAFE {
    pages.for_each([&](std::uint64_t page) {
        region_->publish(page, [absent](PageWord word) { return word.fill_abandoned(absent); });
    });
}

/// Fails the fault, and publishes its page as `back_to`. `poisoned`: it stays out of reach until Region::retry or a
/// discard.
FaultOutcome PageFill::give_up(PageState back_to, Event::Kind reason, int error) FAULTLINE_SIGNAL_SAFE {
    PagerCore& core = context_->core;
    const FaultedPage& faulted = *faulted_;
    report_failure(core, faulted, reason, error);
    // Under uffd_signal the thread that faulted gets SIGBUS by the outcome. A thread asleep in the kernel learns of the
    // failure only through the page itself; so does a thread whose fault came as SIGSEGV. A control call gets the
    // outcome; threads that sleep meanwhile try for themselves.
    const bool by_the_page =
        core.config.delivery != Delivery::uffd_signal &&
        (faulted.fault.origin != core::FaultOrigin::control_call || back_to == PageState::poisoned);
    if (by_the_page) back_to = PageState::poisoned;
    if (by_the_page && core.mappers.can_poison()) {
        const int error_of_poison = sys::wait_out("poisoning a page", [&] {
            return region_->mapper().poison(region_->address_of(faulted.page), region_->page_bytes());
        });
        FAULTLINE_REQUIRE(error_of_poison == 0, "a page that cannot be filled cannot be poisoned either");
    }
    region_->publish(faulted.page, [back_to](PageWord word) {
        return back_to == PageState::poisoned ? word.fill_failed() : word.fill_abandoned(back_to);
    });
    region_->counters().add(Count::failed_faults);
    return FaultOutcome::failed;
}

void publish_page(FillContext& context, Region& region, std::uint64_t page, const PageBytes& bytes,
                  const Arrival& arrival, FrameReservation& frames) FAULTLINE_SIGNAL_SAFE {
    const FrameId frame = context.core.frames.place(region.ref(page), arrival);
    frames.keep(region.page_units());
    if (!bytes.dirty) context.shared_frames.note(region, page);
    if (bytes.stored != nullptr) context.core.frames.set_checksum(frame, *bytes.stored);
    region.publish(page, [&](PageWord word) {
        if (bytes.left_store) return word.filled_for_good(frame);
        return bytes.stored != nullptr ? word.filled_with_checksum(frame) : word.filled(frame, bytes.dirty);
    });
    context.core.budget.notify();  // one more page that can leave
}

void unmap_page(Region& region, std::uint64_t page) FAULTLINE_SIGNAL_SAFE {
    const iovec range{region.address_of(page), region.page_bytes()};
    region.mapper().drop({&range, 1});
}

}  // namespace faultline::pager
