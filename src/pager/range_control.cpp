// The control path, ranges: what the program asks of the pages it names. Throws; keeps signals blocked wherever it owns
// a page or takes a lock of the fault path's.

#include "core/check.hpp"
#include "pager/fault_path_section.hpp"
#include "pager/pager.hpp"
#include "pager/region_tree.hpp"
#include "sys/error.hpp"
#include "sys/page_merging.hpp"
#include "sys/transient.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <string>

namespace faultline::detail {

using core::PageRange;
using core::PageState;
using core::PageWord;

namespace {

/// Visits a range piece by piece, so that signals are not blocked, and regions not kept from going, for the whole of
/// it.
template <typename Visit>
void for_each_piece(PageRange range, Visit visit) {
    constexpr std::uint64_t kPages = 4096;
    for (std::uint64_t first = range.first; first < range.end(); first += kPages) {
        visit(PageRange{first, std::min(kPages, range.end() - first)});
    }
}

/// Pages that a discard owns, given back to the kernel and the store in one go.
class DiscardGroup {
public:
    DiscardGroup(Region& region, mmu::Mapper& mapper, FrameTable& frames, Staging& staging, FrameBudget& budget,
                 DiskSpace space) noexcept
        : region_{region}, mapper_{mapper}, frames_{frames}, staging_{staging}, budget_{budget}, space_{space} {}

    [[nodiscard]] bool full() const noexcept { return count_ == kMost; }
    void add(std::uint64_t page, PageWord was) noexcept { pages_[count_++] = {page, was}; }

    void flush() {
        std::array<iovec, kMost> ranges{};
        std::size_t drops = 0;
        std::int64_t units = 0;
        forget_writes_in_flight();
        for (const Owned& owned : owned_pages()) {
            const bool mapped = owned.was.is(PageState::resident);
            // Where frames move, a staged page's is freed with its batch.
            const bool hidden = owned.was.is(PageState::staged) && region_.staged_frames() == mmu::StagedFrames::stay;
            if (!mapped && !hidden && !owned.was.is(PageState::poisoned)) continue;
            ranges[drops++] = {region_.address_of(owned.page), region_.page_bytes()};
            if (mapped || hidden) units += region_.page_units();
            if (hidden) staging_.frame_left(owned.was.payload());
        }
        if (drops > 0) mapper_.drop({ranges.data(), drops});
        give_slots_back();
        for (const Owned& owned : owned_pages()) {
            if (owned.was.is(PageState::resident)) frames_.remove(owned.was.payload());
            region_.publish(owned.page, [](PageWord word) { return word.discarded(); });
        }
        budget_.release(units);
        count_ = 0;
    }

private:
    static constexpr std::size_t kMost = 64;
    struct Owned {
        std::uint64_t page;
        PageWord was;
    };

    [[nodiscard]] std::span<const Owned> owned_pages() const noexcept { return {pages_.data(), count_}; }

    /// A write of a dirty page that ends now would give the page a slot, which nobody would give back. What is not
    /// dirty gets none: whoever ends its write gives it back at once.
    void forget_writes_in_flight() {
        for (std::size_t i = 0; i < count_; ++i) {
            Owned& owned = pages_[i];
            PageWord seen = region_.load(owned.page);
            while (!region_.try_change(owned.page, seen, seen.with_dirty(false))) {
            }
            owned.was = owned.was.with_slot(seen.has_slot());
        }
    }

    /// While the pages are owned: a slot given back later could be in use again.
    void give_slots_back() {
        for (std::size_t i = 0; i < count_;) {
            std::size_t end = i;
            while (end < count_ && pages_[end].was.has_slot() && pages_[end].page == pages_[i].page + (end - i)) ++end;
            if (end > i) give_back(region_.offset_of(pages_[i].page), (end - i) * region_.page_bytes());
            i = std::max(end, i + 1);
        }
    }

    void give_back(std::uint64_t offset, std::uint64_t bytes) {
        if (space_ == DiskSpace::give_back) {
            region_.store().discard(offset, bytes);
        } else {
            region_.store().forget(offset, bytes);
        }
    }

    Region& region_;
    mmu::Mapper& mapper_;
    FrameTable& frames_;
    Staging& staging_;
    FrameBudget& budget_;
    DiskSpace space_;
    std::array<Owned, kMost> pages_{};
    std::size_t count_ = 0;
};

/// For as long as it lives, the view of a range can be closed without more mappings than there are. Throws ENOMEM.
class PartedView {
public:
    PartedView(mmu::Mapper& mapper, const Region& region, PageRange range)
        : mapper_{mapper}, address_{region.address_of(range.first)}, bytes_{region.offset_of(range.count)} {
        if (const int error = mapper_.part(address_, bytes_)) {
            sys::throw_error(error, "cannot take away access to " + sys::readable_bytes(bytes_) +
                                        (error == ENOMEM ? "; raise `sysctl vm.max_map_count`" : ""));
        }
    }
    ~PartedView() { mapper_.rejoin(address_, bytes_); }
    PartedView(const PartedView&) = delete;
    PartedView& operator=(const PartedView&) = delete;

private:
    mmu::Mapper& mapper_;
    void* address_;
    std::size_t bytes_;
};

}  // namespace

void Pager::discard(Region& region, PageRange range, DiskSpace space) {
    require_owner_process();
    bool found_pinned = false;
    for_each_piece(range, [&](PageRange piece) { found_pinned |= discard_piece(region, piece, space); });
    if (found_pinned) sys::throw_error(EBUSY, "pages of the range are pinned and were not discarded");
}

/// Returns whether a page was pinned, and therefore left alone.
bool Pager::discard_piece(Region& region, PageRange range, DiskSpace space) {
    const FaultPathSection section;
    filler_.spare_mappings();  // holes in what is mapped take some, too
    DiscardGroup group{region, mapper_, frames_, staging_, budget_, space};
    bool found_pinned = false;
    region.table().for_each_touched(range, [&](std::uint64_t page) {
        const auto claim = [&](PageWord word) -> std::optional<PageWord> {
            if (word.is(PageState::empty)) return std::nullopt;
            if (!word.is(PageState::resident)) return word.claimed_for_fill();
            if (word.pins() == 0) return word.claimed_for_eviction();
            found_pinned = true;
            return std::nullopt;
        };
        const auto was = region.claim_settled(page, claim, [&] { group.flush(); });
        if (!was) return;
        group.add(page, *was);
        if (!group.full()) return;
        group.flush();
        filler_.spare_mappings();
    });
    group.flush();
    wake_to_return_space();
    return found_pinned;
}

// ---- regions with gaps

void Pager::open_pages(Region& region, PageRange range, Access access) {
    require_owner_process();
    const std::lock_guard lock{region.protecting()};
    set_protection(region, range, access);
    // Whoever is told here that a page is closed while its view is open already tries again.
    if (mapper_.checks_access()) {
        const std::size_t bytes = region.offset_of(range.count);
        if (const int error = mapper_.set_access(region.address_of(range.first), bytes, access)) {
            set_protection(region, range, Access::read_write);
            sys::throw_error(error, "cannot open " + sys::readable_bytes(bytes) +
                                        (error == ENOMEM ? "; raise `sysctl vm.max_map_count`" : ""));
        }
    }
    region.open_pages().insert(range);
}

void Pager::close_pages(Region& region, PageRange range) {
    require_owner_process();
    const std::lock_guard lock{region.protecting()};
    region.open_pages().erase(range);
    // A fault that has seen a page open may still bring it in; afterwards none can.
    RegionTree::readers().synchronize();
    try {
        if (any_pinned(region, range)) sys::throw_error(EBUSY, "pages of the range are pinned");
        const PartedView parted{mapper_, region, range};  // first, while nothing is lost if the kernel refuses
        discard(region, range);
        outwait_writes(region, range);
        close_view(region, range);
    } catch (...) {
        region.open_pages().insert(range);
        throw;
    }
    region.table().for_each_touched(range, [&](std::uint64_t page) {
        PageWord seen = region.load(page);
        while (!region.try_change(page, seen, seen.with_protection(Access::read_write))) {
        }
    });
}

void Pager::discard_to_store(Region& region, PageRange range) {
    discard(region, range);
    outwait_writes(region, range);
    expect_in_store(region, range);
}

/// A write of what was there before must not land in the store after something else has been put there.
void Pager::outwait_writes(const Region& region, PageRange range) {
    bool writing = false;
    region.table().for_each_touched(range, [&](std::uint64_t page) { writing |= region.load(page).writing(); });
    if (writing) RegionTree::readers().synchronize();
}

void Pager::expect_in_store(Region& region, PageRange range) {
    require_owner_process();
    const core::Departure long_ago = core::Departure::long_before(evictor_.sequence());
    for_each_piece(range, [&](PageRange piece) {
        const FaultPathSection section;
        for (std::uint64_t page = piece.first; page < piece.end(); ++page) {
            PageWord seen = region.load(page);
            while (seen.is(PageState::empty) && !region.try_change(page, seen, seen.found_in_store(long_ago))) {
            }
        }
    });
}

// ---- protection

/// Changes the words of a range as `edge(word)` says, whoever owns the pages.
template <typename Edge>
void Pager::change_words(Region& region, PageRange range, Edge edge) {
    for (std::uint64_t page = range.first; page < range.end(); ++page) {
        PageWord seen = region.load(page);
        while (edge(seen) != seen && !region.try_change(page, seen, edge(seen))) {
        }
    }
}

void Pager::set_protection(Region& region, PageRange range, Access access) {
    change_words(region, range, [access](PageWord word) { return word.with_protection(access); });
}

bool Pager::any_resident(Region& region, PageRange range) const {
    bool found = false;
    region.table().for_each_touched(range, [&](std::uint64_t page) {
        const PageWord seen = region.load(page);
        found |= seen.busy() || seen.is(PageState::resident);
    });
    return found;
}

bool Pager::any_executable(const Region& region, PageRange range) {
    bool found = false;
    region.table().for_each_touched(
        range, [&](std::uint64_t page) { found |= region.load(page).protection() == Access::read_execute; });
    return found;
}

void Pager::protect(Region& region, PageRange range, Access access) {
    require_owner_process();
    const std::lock_guard lock{region.protecting()};
    // Between the words' change and the mapping's, forbidden accesses wait: a handler on this thread would wait for
    // itself.
    const sys::SignalBlock signals;
    std::byte* const address = region.address_of(range.first);
    const std::size_t bytes = range.count * region.page_bytes();
    if (access == Access::none && any_pinned(region, range)) sys::throw_error(EBUSY, "pages of the range are pinned");
    const auto refuse = [&](int error) {
        sys::throw_error(error, "cannot change the protection of " + sys::readable_bytes(bytes) +
                                    (error == ENOMEM ? "; raise `sysctl vm.max_map_count`" : ""));
    };
    if (!mapper_.checks_access()) {  // each forbidden access is a fault, and the words say no
        const bool executable = any_executable(region, range);
        if (access == Access::read_write) show_resident(region, range, access, executable);
        set_protection(region, range, access);
        if (access == Access::none) {
            evict_all(region, range);
        } else if (access != Access::read_write) {
            show_resident(region, range, access, executable);
        }
        set_access_of_views(region, range, access);
        return;
    }
    if (access == Access::read_write) {  // open the mapping before anybody is let in
        if (const int error = mapper_.set_access(address, bytes, access)) refuse(error);
        set_protection(region, range, access);
        return;
    }
    set_protection(region, range, access);
    if (access == Access::none) {
        // The kernel moves and copies nothing out of a mapping without access, so what is resident leaves first; what
        // is absent cannot come in any more.
        evict_all(region, range);
    }
    if (const int error = mapper_.set_access(address, bytes, access)) {
        set_protection(region, range, Access::read_write);
        refuse(error);
    }
}

void Pager::guard(Region& region, PageRange range) {
    require_owner_process();
    const std::lock_guard lock{region.protecting()};
    const sys::SignalBlock signals;  // as in protect
    change_words(region, range, [](PageWord word) { return word.with_guard(); });
    evict_all(region, range);
    if (!mapper_.checks_access()) return;
    const std::size_t bytes = range.count * region.page_bytes();
    const int error = mapper_.set_guard(region.address_of(range.first), bytes);
    if (error == 0) return;
    set_protection(region, range, Access::read_write);
    sys::throw_error(error, "cannot place a guard of " + sys::readable_bytes(bytes) +
                                (error == ENOMEM ? "; raise `sysctl vm.max_map_count`: without guard markers "
                                                   "(MADV_GUARD_INSTALL, Linux 6.13) each guard takes two mappings"
                                                 : ""));
}

/// Evicts pages that can no longer come in, until none is in the program's view.
void Pager::evict_all(Region& region, PageRange range) {
    store::SequentialWriteQueue queue;
    while (any_resident(region, range)) {
        const FaultPathSection section;
        wait_until_settled(region, range);
        const Reclaimed evicted = evictor_.evict(region, range, queue);
        if (evicted.write_error != 0 && !evicted.progress) return;  // staged is off the view, too
        if (evicted.refused && !evicted.progress) sys::nap(std::chrono::milliseconds{1});
    }
}

/// Where protection is ours to keep: dirty pages that are mapped are writable only where the program may write, and
/// pages are executable only where it may execute. What becomes executable need not be shown so before it is executed.
void Pager::show_resident(Region& region, PageRange range, Access access, bool executable) {
    for_each_piece(range, [&](PageRange piece) {
        const FaultPathSection section;
        region.table().for_each_touched(piece, [&](std::uint64_t page) {
            const auto was = region.claim_settled(page, [&](PageWord word) {
                const bool changes = word.is(PageState::resident) && (word.dirty() || executable);
                return changes ? std::optional{word.claimed_for_change()} : std::nullopt;
            });
            if (!was) return;
            const bool writable = access == Access::read_write && was->dirty();
            const int error = filler_.with_room([&] {
                return writable ? mapper_.allow_writes(region.address_of(page), region.page_bytes())
                                : mapper_.forbid_writes(region.address_of(page), region.page_bytes());
            });
            FAULTLINE_REQUIRE(error == 0, "a page's protection cannot be changed: raise `sysctl vm.max_map_count`");
            region.publish(page, [](PageWord word) { return word.filled(word.payload(), word.dirty()); });
        });
    });
}

void Pager::advise(Region& region, PageRange range, Advice advice) {
    switch (advice) {
        case Advice::willneed:
            return want(region, range);
        case Advice::dontneed:
            return evict(region, range);
        case Advice::cold:
            return cool(region, range);
        case Advice::normal:
            return expect(region, range, policy::AccessAdvice::normal);
        case Advice::sequential:
            return expect(region, range, policy::AccessAdvice::sequential);
        case Advice::random:
            return expect(region, range, policy::AccessAdvice::random);
    }
    sys::throw_error(EINVAL, "unknown advice");
}

void Pager::bring_ahead(Region& region, PageRange range) {
    require_owner_process();
    const std::uint64_t at_once = Filler::most_at_once(region);
    for (std::uint64_t page = range.first; page < range.end(); page += at_once) {
        const FaultPathSection section;
        if (budget_.available() < region.page_units()) return;  // as far as free frames reach
        Fill fill = claim_ahead(region, {page, std::min(at_once, range.end() - page)}, false);
        if (fill.window.count() > 0) come_ahead(fill, filler_.read_and_map(region, fill.window, 0));
    }
}

void Pager::want(Region& region, PageRange range) {
    require_owner_process();
    if (range.count == 0) return;
    {
        const FaultPathSection section;
        if (async_reader_ && async_reader_->want({region.id(), range})) return;
    }
    bring_ahead(region, range);
}

void Pager::wait_for_wanted(Region& region, PageRange range) {
    require_owner_process();
    {
        const FaultPathSection section;
        if (async_reader_) async_reader_->wait_until_begun();
    }
    for_each_piece(range, [&](PageRange piece) {
        const FaultPathSection section;
        wait_until_settled(region, piece);
    });
}

/// Waits until each page of the range has been owned by nobody for a moment: who has brought it in may have let the
/// program use it already.
void Pager::wait_until_settled(const Region& region, PageRange range) {
    region.table().for_each_touched(range, [&](std::uint64_t page) {
        static_cast<void>(region.claim_settled(page, [](PageWord) { return std::optional<PageWord>{}; }));
    });
}

/// On the reader thread: what the program wants is begun, as far as frames are to be had.
void Pager::begin_wanted(const AsyncReader::Wanted& wanted) noexcept {
    Region* const region = regions_.find(wanted.region);
    const PageRange pages = wanted.pages;
    if (region == nullptr || pages.end() > region->pages()) return;  // gone, and perhaps another has its number
    const std::uint64_t at_once = Filler::most_at_once(*region);
    for (std::uint64_t page = pages.first; page < pages.end(); page += at_once) {
        const std::uint64_t count = std::min(at_once, pages.end() - page);
        const std::int64_t missing = static_cast<std::int64_t>(count) * region->page_units() - budget_.available();
        if (missing > 0) static_cast<void>(reclaim_directly(missing));  // what is free then will do
        Fill fill = claim_ahead(*region, {page, count}, wanted.for_writing);
        if (fill.window.count() == 0 || async_reader_->queue(fill)) continue;
        come_ahead(fill, filler_.read_and_map(*region, fill.window, 0));
    }
}

/// Claims what is stored of a range that fits a read.
Fill Pager::claim_ahead(Region& region, PageRange range, bool for_writing) FAULTLINE_SIGNAL_SAFE {
    Fill fill{&region, {}, {}, {}, FrameReservation{budget_, 0}, 0, false, for_writing};
    const std::uint64_t all = range.count < 64 ? (std::uint64_t{1} << range.count) - 1 : ~std::uint64_t{0};
    const Access first = region.load(range.first).protection();
    const PageWindow claimed = filler_.claim(region, PageState::stored, {range.first, all},
                                             first == Access::read_execute ? first : Access::read, fill.frames);
    wake_evictor_when_low();
    if (claimed.count() > 0) fill.window = claimed.trimmed();
    return fill;
}

void Pager::evict(Region& region, PageRange range) {
    static_cast<void>(evict_now(region, range));  // only advice: what the store refuses stays
}

Reclaimed Pager::evict_now(Region& region, PageRange range) {
    require_owner_process();
    sys::PageMerging::look_now_and_then();
    store::SequentialWriteQueue queue;
    Reclaimed total;
    for_each_piece(range, [&](PageRange piece) {
        const FaultPathSection section;
        wait_until_settled(region, piece);
        total += evictor_.evict(region, piece, queue);
    });
    return total;
}

void Pager::cool(Region& region, PageRange range) {
    require_owner_process();
    for_each_piece(range, [&](PageRange piece) {
        const FaultPathSection section;
        region.table().for_each_touched(piece, [&](std::uint64_t page) {
            const PageWord word = region.load(page);
            if (word.is(PageState::resident)) frames_.demote(region.ref(page), word.payload());
        });
    });
}

void Pager::expect(Region& region, PageRange range, policy::AccessAdvice advice) {
    require_owner_process();
    const std::lock_guard lock{region.protecting()};
    region.expected().set(region.view().size(), region.offset_of(range.first), region.offset_of(range.count), advice);
}

void Pager::retry(Region& region, PageRange range) {
    require_owner_process();
    const FaultPathSection section;
    region.table().for_each_touched(range, [&](std::uint64_t page) {
        // Waiting first: the program may have heard of a failure that is not in the page's word yet.
        const auto was = region.claim_settled(page, [](PageWord word) {
            return word.is(PageState::poisoned) ? std::optional{word.claimed_for_fill()} : std::nullopt;
        });
        if (!was) return;
        filler_.unmap(region, page);  // takes the kernel's poison away
        region.publish(page, [](PageWord word) { return word.fill_abandoned(word.home()); });
    });
}

// ---- pins

void Pager::pin(Region& region, PageRange range, PinFor purpose) {
    require_owner_process();
    const PinnedFront pinned = pin_front(region, range, purpose, PinAmount::all);
    if (pinned.error == 0) return;
    unpin(region, {range.first, pinned.pages});
    if (pinned.error == ENOMEM) {
        sys::throw_error(ENOMEM, "pinning " + sys::readable_bytes(range.count * region.page_bytes()) +
                                     " would leave too little of the resident limit of " +
                                     sys::readable_bytes(limit_bytes_.load()) +
                                     " for faults; pin less, or raise the limit");
    }
    sys::throw_error(pinned.error,
                     "cannot pin a page" + std::string(pinned.error == EACCES ? ": its protection forbids the purpose"
                                                       : pinned.error == EIO  ? ": the store could not read it back"
                                                                              : ""));
}

PinnedFront Pager::pin_front(Region& region, PageRange range, PinFor purpose, PinAmount amount) noexcept {
    const std::uint64_t reserved = reserve_pins(region, range.count, amount);
    for (std::uint64_t i = 0; i < reserved; ++i) {
        const int error = pin_page(region, range.first + i, purpose);
        if (error == 0) continue;
        pinned_units_.fetch_sub(static_cast<std::int64_t>(reserved - i) * region.page_units());
        return {i, error};
    }
    return {reserved, reserved == range.count ? 0 : ENOMEM};
}

/// Counts up to `wanted` pages as pinned, and returns how many. Lets nobody else see more counted than is kept: two who
/// ask at once for the last page do not both go away without it.
std::uint64_t Pager::reserve_pins(const Region& region, std::uint64_t wanted, PinAmount amount) noexcept {
    std::int64_t pinned = pinned_units_.load();
    for (;;) {
        const std::int64_t room = std::max<std::int64_t>(pinnable_units_.load() - pinned, 0) / region.page_units();
        const auto left = static_cast<std::uint64_t>(room);
        const std::uint64_t share = amount == PinAmount::all ? left : (left + 1) / 2;
        const std::uint64_t count = std::min(wanted, share);
        if (count == 0 || (amount == PinAmount::all && count < wanted)) return 0;
        const std::int64_t units = static_cast<std::int64_t>(count) * region.page_units();
        if (pinned_units_.compare_exchange_weak(pinned, pinned + units)) return count;
    }
}

int Pager::pin_page(Region& region, std::uint64_t page, PinFor purpose) noexcept {
    const std::uintptr_t address = core::address_of(region.address_of(page));
    if (region.owner() == nullptr) return pin_at({region, page}, purpose, address);
    const FaultPathSection section;  // so that no view goes
    return pin_at(place_of(region, address), purpose, address);
}

/// What is pinned in a view is pinned in its word there, too, so that the view cannot go.
int Pager::pin_at(const Place& place, PinFor purpose, std::uintptr_t address) noexcept {
    Region& region = place.region;
    const std::uint64_t page = place.page;
    const bool write = purpose == PinFor::writing;
    // Where protection is ours to keep, a dirty page may have come in while it was read-only: asked for, it is
    // writable.
    bool asked = !write || mapper_.checks_access();
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
        if (resolve(wanted) == core::FaultOutcome::failed) {
            return region.load(page).is(PageState::poisoned) ? EIO : ENOSPC;
        }
        asked = true;
        seen = region.load(page);
    }
}

void Pager::unpin(Region& region, PageRange range) noexcept {
    if (!in_owner_process()) return;
    const auto let_go = [](PageWord word) { return word.with_pin_removed(); };
    for (std::uint64_t page = range.first; page < range.end(); ++page) {
        if (region.owner() != nullptr) {
            const FaultPathSection section;
            const Place place = place_of(region, core::address_of(region.address_of(page)));
            if (place.view != nullptr) place.region.publish(place.page, let_go);
        }
        region.publish(page, let_go);
    }
    pinned_units_.fetch_sub(static_cast<std::int64_t>(range.count) * region.page_units());
    budget_.changed();
}

}  // namespace faultline::detail
