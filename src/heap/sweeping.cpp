// Giving dead pages back to the pager. Not at once: a page that dies is often live again soon, and giving back in
// batches costs less. Until then the pager, when it evicts, drops dead pages unwritten.
//
// Whoever gives a page back holds it meanwhile, so that no block on it can be handed out: a free run is off the lists;
// of a span, all blocks on the page are taken out, as if they were allocated.

#include "core/check.hpp"
#include "heap/heap.hpp"

#include <algorithm>
#include <bitset>
#include <system_error>

namespace faultline::detail {

using core::PageRange;
using heap::Area;
using heap::ClassSpans;
using heap::PageLife;
using heap::SizeClass;
using heap::Span;
using heap::SpanKind;

namespace {

constexpr std::uint64_t kMostAtOnce = 512;  // pages
constexpr std::uint64_t kWorthAHole = 64;   // pages; fewer keep their place on the disk: a hole costs a hundred frees

}  // namespace

/// Leaves half of what may be kept, so that the next time is not soon.
void Heap::sweep_some() noexcept {
    const std::unique_lock lock{sweeping_, std::try_to_lock};
    if (!lock.owns_lock()) return;  // somebody is at it
    sweep(most_dead_ / 2);
}

std::size_t Heap::trim() noexcept {
    const heap::SlowPath slow;
    if (heap::ThreadCache* const mine = heap::RecentCaches::find(id_)) flush(*mine);
    flush_what_nobody_owns();
    flush_batches();
    release_kept_spans();
    const std::lock_guard lock{sweeping_};
    const std::uint64_t before = discarded_bytes_.load();
    sweep(0);
    empty_beyond(Area::brk);
    empty_beyond(Area::mappings);
    return discarded_bytes_.load() - before;
}

/// Spans that are kept for the next blocks.
void Heap::release_kept_spans() noexcept {
    for (ClassSpans& spans : classes_) {
        const std::lock_guard lock{spans.mutex};
        while (Span* const unused = spans.take_unused()) release(unused);
    }
}

/// What is at the frontiers first, then from where the last sweep ended, once round at most. With sweeping_ held.
void Heap::sweep(std::uint64_t leave_bytes) noexcept {
    for (const Area area : {Area::brk, Area::mappings}) retreat(area, leave_bytes);
    const auto [low_end, high_begin] = pages_.frontiers();
    const std::uint64_t end = pages_.bytes() >> core::kUnitShift;
    const std::uint64_t begin = cursor_ >= end ? 0 : cursor_;
    const PageRange parts[] = {{begin, std::max(low_end, begin) - begin},
                               {std::max(begin, high_begin), end - std::max(begin, high_begin)},
                               {0, std::min(begin, low_end)},
                               {high_begin, std::max(begin, high_begin) - high_begin}};
    for (const PageRange& part : parts) sweep_range(part, leave_bytes);
    for (const Area area : {Area::brk, Area::mappings}) retreat(area, leave_bytes);
}

void Heap::sweep_range(PageRange range, std::uint64_t leave_bytes) noexcept {
    for (std::uint64_t page = range.first; page < range.end() && pages_.life().dead_bytes() > leave_bytes;) {
        const PageRange dead = pages_.life().next_dead(page, range.end(), kMostAtOnce);
        page = dead.count == 0 ? range.end() : dead.first + sweep_run(dead);
        cursor_ = page;
    }
}

/// Returns how many pages of the run have been looked at.
std::uint64_t Heap::sweep_run(PageRange dead) noexcept {
    const heap::HeapPages::Owner owner = pages_.owner_of(dead.first);
    if (owner.kind == SpanKind::blocks) {
        dead.count = std::min(dead.end(), owner.pages.end()) - dead.first;
        sweep_span(owner.size_class, dead);
        return dead.count;
    }
    sweep_free_run(dead);
    return dead.count;
}

void Heap::sweep_free_run(PageRange dead) noexcept {
    const auto run = pages_.hold_run_around(dead.first);
    if (!run) return;  // not free any more, or not yet
    dead.count = std::min(dead.end(), run->end()) - dead.first;
    discard(dead);
    pages_.let_run_go(*run, false);
}

void Heap::sweep_span(SizeClass size_class, PageRange dead) noexcept {
    ClassSpans& spans = classes_[size_class];
    PageLife& life = pages_.life();
    Span* span = nullptr;
    std::array<PageRange, kMostAtOnce> held{};
    std::size_t runs = 0;
    {
        const std::lock_guard lock{spans.mutex};
        const heap::HeapPages::Owner owner = pages_.owner_of(dead.first);
        // As long as the lock is held no span of the class goes.
        if (owner.kind != SpanKind::blocks || owner.size_class != size_class) return;
        span = owner.span;
        for (std::uint64_t page = dead.first; page < std::min(dead.end(), span->pages.end()); ++page) {
            if (!life.is_dead(page)) continue;
            spans.hold_page(*span, page - span->pages.first);
            if (runs > 0 && held[runs - 1].end() == page) {
                ++held[runs - 1].count;
            } else {
                held[runs++] = {page, 1};
            }
        }
    }
    for (std::size_t i = 0; i < runs; ++i) discard(held[i]);
    const std::lock_guard lock{spans.mutex};
    for (std::size_t i = 0; i < runs; ++i) {
        for (std::uint64_t page = held[i].first; page < held[i].end(); ++page) {
            spans.let_page_go(*span, page - span->pages.first);
        }
    }
    if (runs > 0) release(spans.leaving(*span));
}

/// Moves a frontier back over what is free before it, if that is fresh or too much is dead.
void Heap::retreat(Area area, std::uint64_t leave_bytes) noexcept {
    PageLife& life = pages_.life();
    while (const auto run = pages_.hold_run_at_frontier(area)) {
        for (PageRange dead{run->first, 0}; life.dead_bytes() > leave_bytes;) {
            dead = life.next_dead(dead.end(), run->end(), kMostAtOnce);
            if (dead.count == 0) break;
            discard(dead);
        }
        const bool fresh = life.next_touched(run->first, run->end()).count == 0;
        const bool empty = fresh && discard_contents(*run);  // fresh pages may have come in with their neighbours
        pages_.let_run_go(*run, empty);
        if (!empty) return;
    }
}

/// Gives back what came in beyond a frontier with its neighbours.
void Heap::empty_beyond(Area area) noexcept {
    const PageRange beyond = pages_.hold_beyond_frontier(area, kMostAtOnce);
    discard_contents(beyond);
    pages_.let_run_go(beyond, true);
}

/// Whoever calls holds the pages. False: they are as they were.
bool Heap::discard(PageRange pages) noexcept {
    if (!discard_contents(pages)) return false;
    pages_.life().discarded(pages);
    discarded_bytes_.fetch_add(pages.count << core::kUnitShift, std::memory_order_relaxed);
    return true;
}

bool Heap::discard_contents(PageRange pages) noexcept {
    try {
        pager_->discarder().discard(*region_, pages, pages.count < kWorthAHole ? DiskSpace::keep : DiskSpace::give_back);
        return true;
    } catch (const std::system_error&) {
        return false;  // pinned, by whoever has freed it; or another process's
    }
}

}  // namespace faultline::detail
