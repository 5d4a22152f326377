#include "pager/fault/read_ahead.hpp"

#include "pager/region/fault_path_section.hpp"
#include "pager/region/range_pieces.hpp"

#include <algorithm>
#include <mutex>
#include <utility>

namespace faultline::pager {

using core::PageRange;
using core::PageState;
using core::PageWord;
using PrefetchKind = policy::PrefetchFault::Kind;

namespace {

/// Returns the access that neighbours must allow to come in with a page whose word is `page`. All are mapped with one
/// protection.
Access access_of_neighbours(PageWord page, bool for_writing) FAULTLINE_SIGNAL_SAFE {
    if (for_writing) return Access::read_write;
    return page.protection() == Access::read_execute ? Access::read_execute : Access::read;
}

}  // namespace

void ReadAhead::claim_untouched_neighbours(PageFill& fill, const FaultedPage& faulted,
                                           PageWord seen) FAULTLINE_SIGNAL_SAFE {
    // One install copies zeros from a mapping that is as large as the largest page.
    const std::uint64_t most =
        std::min<std::uint64_t>(core_.zeros.size() / faulted.region.page_bytes(), PageWindow::kMost);
    const policy::PrefetchWindow wanted =
        choose(faulted, PrefetchKind::first_touch, static_cast<std::uint32_t>(most), true);
    claim(fill, faulted, wanted, PageState::empty, access_of_neighbours(seen, faulted.write()));
}

void ReadAhead::claim_stored_neighbours(PageFill& fill, const FaultedPage& faulted,
                                        PageWord seen) FAULTLINE_SIGNAL_SAFE {
    const auto most = static_cast<std::uint32_t>(PageFill::most_pages(faulted.region));
    const bool left_lately = fill.arrival().evictions_ago < core_.budget.limit() / 4;
    const policy::PrefetchWindow wanted = choose(faulted, PrefetchKind::hard, most, left_lately);
    // The pages after a tripwire are read already, so its window does not continue the faulted page.
    const std::uint32_t with_page = wanted.continues(faulted.region.ref(faulted.page).bits()) ? most - 1 : 0;
    fill.set_for_writing(wanted.for_writing);
    const Access access = access_of_neighbours(seen, false);
    if (wanted.count < policy::FaultAround::kPages && claim_around(fill, faulted, access)) return;
    if (wanted.count == 0) return claim_block(fill, faulted, access);
    claim(fill, faulted, wanted.front(with_page), PageState::stored, access);
    if (wanted.count > with_page) request(faulted.region, wanted.without_front(with_page));
}

/// Adds the stored pages of the block of 64 KiB around the faulted page, if the region's owner wants them, while many
/// frames are free: reading 64 KiB from a file takes as long as reading 4 KiB.
void ReadAhead::claim_block(PageFill& fill, const FaultedPage& faulted, Access access) FAULTLINE_SIGNAL_SAFE {
    const Region& region = faulted.region;
    const std::uint64_t most = PageFill::most_pages(region);
    const RegionOwner* const owner = region.owner();
    const bool many_are_free = core_.budget.available() > core_.budget.limit() / 8;
    if (owner == nullptr || !owner->reads_blocks() || !may_read_around(faulted)) return;
    if (!many_are_free || most < 2) return;
    // Compressed pages take time for each page.
    const store::Whereabouts where = region.store().whereabouts(region.offset_of(faulted.page));
    if (where.place == store::Whereabouts::Place::compressed) return;
    PageWindow block{core::align_down(faulted.page, most), 0};
    for (std::uint64_t page = block.first; page < std::min(block.first + most, region.pages()); ++page) {
        if (!owner->is_dead(page)) block.mask |= block.bit_of(page);
    }
    fill.claim_neighbours(PageState::stored, block, access);
}

/// Adds the pages of the faulted page's block (FaultAround::kPages) whose bytes lie around its own in the swap file, if
/// reading them saves faults. Pages that left together lie together, and come in with one read. Returns false if it
/// added none.
bool ReadAhead::claim_around(PageFill& fill, const FaultedPage& faulted, Access access) FAULTLINE_SIGNAL_SAFE {
    const Region& region = faulted.region;
    if (!may_read_around(faulted) || PageFill::most_pages(region) < policy::FaultAround::kPages) return false;
    const store::Whereabouts where = region.store().whereabouts(region.offset_of(faulted.page));
    if (where.place != store::Whereabouts::Place::swap_file || !pays_around(faulted)) return false;
    const PageWindow run = pages_around(faulted, where.at);
    if (run.mask == 0) return false;
    context_.reclaimer.free_for_prefetch(static_cast<std::int64_t>(run.count()) * region.page_units());
    fill.claim_neighbours(PageState::stored, run, access);
    return true;
}

bool ReadAhead::may_read_around(const FaultedPage& faulted) const FAULTLINE_SIGNAL_SAFE {
    return core_.config.read_ahead && faulted.region.access_hint(faulted.page) != policy::AccessAdvice::random;
}

bool ReadAhead::pays_around(const FaultedPage& faulted) FAULTLINE_SIGNAL_SAFE {
    constexpr std::int64_t kFewest = 64 * policy::FaultAround::kPages;
    const std::int64_t frames = core_.budget.limit() / faulted.region.page_units();
    if (frames < kFewest) return false;
    const std::scoped_lock lock{streams_lock_};
    return around_.on_fault(faulted.region.ref(faulted.page).bits(), core_.departures.evictions(),
                            static_cast<std::uint64_t>(frames));
}

/// Returns the stored pages of the block whose bytes lie around `at` in the swap file.
PageWindow ReadAhead::pages_around(const FaultedPage& faulted, std::uint64_t at) const FAULTLINE_SIGNAL_SAFE {
    constexpr std::uint64_t kPages = policy::FaultAround::kPages;
    const Region& region = faulted.region;
    const std::uint64_t reach = kPages * region.page_bytes();
    PageWindow run{core::align_down(faulted.page, kPages), 0};
    for (std::uint64_t page = run.first; page < std::min(run.first + kPages, region.pages()); ++page) {
        if (page == faulted.page || !region.load(page).is(PageState::stored) || region.is_dead(page)) continue;
        const store::Whereabouts there = region.store().whereabouts(region.offset_of(page));
        if (there.place != store::Whereabouts::Place::swap_file) continue;
        if (there.at + reach > at && at + reach > there.at) run.mask |= run.bit_of(page);
    }
    return run;
}

/// Returns the pages that a walk through the page of this fault will access next. One fill brings in `at_once` pages.
policy::PrefetchWindow ReadAhead::choose(const FaultedPage& faulted, PrefetchKind kind, std::uint32_t at_once,
                                         bool left_lately) FAULTLINE_SIGNAL_SAFE {
    const Region& region = faulted.region;
    // Takes at most half of the frames: other threads fault, too.
    const std::int64_t free_pages = context_.reclaimer.units_for_prefetch() / (2 * region.page_units());
    if (!core_.config.read_ahead || at_once < 2 || free_pages <= 0) return {};
    const bool goes_on_later = kind == PrefetchKind::hard && reader() != nullptr;
    const std::int64_t most = goes_on_later ? free_pages : std::min<std::int64_t>(free_pages, at_once - 1);
    const std::uint64_t page = region.ref(faulted.page).bits();
    const std::scoped_lock lock{streams_lock_};
    if (goes_on_later && streams_.is_tripwire(page)) kind = PrefetchKind::tripwire;
    return streams_.on_fault({page, faulted.fault.thread, kind, faulted.write(), left_lately},
                             {region.pages(), region.page_bytes(), static_cast<std::uint32_t>(most), at_once - 1},
                             region.access_hint(faulted.page));
}

/// Adds the pages of `wanted` that are absent to `fill`. They are neighbours of the page of the fault.
void ReadAhead::claim(PageFill& fill, const FaultedPage& faulted, const policy::PrefetchWindow& wanted,
                      PageState absent, Access access) FAULTLINE_SIGNAL_SAFE {
    if (wanted.count == 0) return;
    context_.reclaimer.free_for_prefetch(wanted.count * faulted.region.page_units());
    const std::uint64_t lowest = std::min<std::uint64_t>(core::PageRef::from(wanted.lowest()).page, faulted.page);
    fill.claim_neighbours(absent, {lowest, wanted.mask_from(faulted.region.ref(lowest).bits())}, access);
}

/// Requests pages in the background, all but the tripwire: the fault on it shows that the walk needs more. If the list
/// of requests is full, the program's own faults bring the pages in.
void ReadAhead::request(Region& region, const policy::PrefetchWindow& wanted) FAULTLINE_SIGNAL_SAFE {
    context_.reclaimer.request_for_prefetch(std::int64_t{wanted.count} * region.page_units());
    const auto request_pages = [&](std::uint64_t first, std::uint64_t end) {
        if (first >= end) return;
        const PageRange pages{core::PageRef::from(first).page, end - first};
        static_cast<void>(reader()->prefetch({region.id(), pages, wanted.for_writing}));
    };
    const std::uint64_t first = wanted.lowest();
    const std::uint64_t end = first + wanted.span();
    const bool forward = wanted.stride > 0;
    if (wanted.tripwire < first || wanted.tripwire >= end) return request_pages(first, end);
    if (forward) request_pages(first, wanted.tripwire);
    request_pages(wanted.tripwire + 1, end);
    if (!forward) request_pages(first, wanted.tripwire);
}

// ---- prefetch

void ReadAhead::prefetch(Region& region, PageRange range) {
    core_.require_owner_process();
    const std::uint64_t at_once = PageFill::most_pages(region);
    for (std::uint64_t page = range.first; page < range.end(); page += at_once) {
        const FaultPathSection section;
        if (core_.budget.available() < region.page_units()) return;
        PageFill fill = claim_range(region, {page, std::min(at_once, range.end() - page)}, false);
        if (fill.window().count() > 0) fill.fill_from_store();
    }
}

void ReadAhead::prefetch_async(Region& region, PageRange range) {
    core_.require_owner_process();
    if (range.count == 0) return;
    {
        const FaultPathSection section;
        core_.await_put_off(true);
        AsyncReader* const in_background = reader();
        if (in_background != nullptr && in_background->prefetch({region.id(), range})) return;
    }
    prefetch(region, range);
}

void ReadAhead::wait_for_prefetch(Region& region, PageRange range) {
    core_.require_owner_process();
    {
        const FaultPathSection section;
        if (AsyncReader* const in_background = reader()) in_background->wait_until_begun();
    }
    for_each_piece(range, [&](PageRange piece) {
        const FaultPathSection section;
        wait_until_unowned(region, piece);
    });
}

/// Starts to read the pages of a request, as far as free frames and frames that can be freed at once suffice. Runs on
/// the reader thread.
void ReadAhead::begin_prefetch(const PrefetchRequest& wanted) noexcept {
    Region* const region = core_.regions.find(wanted.region);
    const PageRange pages = wanted.pages;
    if (region == nullptr || pages.end() > region->pages()) return;
    const std::uint64_t at_once = PageFill::most_pages(*region);
    for (std::uint64_t page = pages.first; page < pages.end(); page += at_once) {
        const std::uint64_t count = std::min(at_once, pages.end() - page);
        const std::int64_t missing = static_cast<std::int64_t>(count) * region->page_units() - core_.budget.available();
        if (missing > 0) context_.reclaimer.reclaim(missing);
        PageFill fill = claim_range(*region, {page, count}, wanted.for_writing);
        if (fill.window().count() == 0 || reader()->queue(fill)) continue;
        fill.fill_from_store();
    }
}

/// Claims the stored pages of a range, which fits one read.
PageFill ReadAhead::claim_range(Region& region, PageRange range, bool for_writing) FAULTLINE_SIGNAL_SAFE {
    PageFill fill{context_, region, for_writing};
    const std::uint64_t all = range.count < 64 ? (std::uint64_t{1} << range.count) - 1 : ~std::uint64_t{0};
    const Access first = region.load(range.first).protection();
    fill.claim_neighbours(PageState::stored, {range.first, all}, first == Access::read_execute ? first : Access::read);
    return fill;
}

}  // namespace faultline::pager
