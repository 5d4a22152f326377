// Sweeping: gives dead pages back to the pager, some time after they die. A page that dies is often live again soon,
// and discarding in batches costs less. Until then the pager drops a dead page that it evicts, without writing it.
//
// The sweeping thread holds the pages that it discards, so that no block on them is handed out. It takes a free run off
// the lists. In a span it takes all blocks of the page out, as if they were allocated.

#include "core/check.hpp"
#include "heap/heap.hpp"

#include <algorithm>
#include <bitset>
#include <system_error>

namespace faultline::heap {

using core::PageRange;
using heap::Area;
using heap::ClassSpans;
using heap::PageLife;
using heap::SizeClass;
using heap::Span;
using heap::SpanKind;

namespace {

constexpr std::uint64_t kMostAtOnce = 512;  // pages
// pages; fewer keep their space on disk, because punching a hole costs as much as a hundred frees
constexpr std::uint64_t kWorthAHole = 64;

}  // namespace

/// Sweeps down to half the dead bytes that may be kept, so that the next sweep is not due soon.
void Heap::sweep_some() noexcept {
    const std::unique_lock lock{sweeping_, std::try_to_lock};
    if (!lock.owns_lock()) return;  // another thread is sweeping
    sweep(most_dead_ / 2);
}

std::size_t Heap::trim() noexcept {
    const heap::SlowPath slow;
    if (heap::ThreadCache* const mine = heap::RecentCaches::find(id_)) flush(*mine);
    flush_unowned_caches();
    flush_batches();
    release_kept_spans();
    const std::lock_guard lock{sweeping_};
    const std::uint64_t before = discarded_bytes_.load();
    sweep(0);
    discard_beyond(Area::brk);
    discard_beyond(Area::mappings);
    return discarded_bytes_.load() - before;
}

/// Frees the empty spans that classes keep for their next blocks.
void Heap::release_kept_spans() noexcept {
    for (ClassSpans& spans : classes_) {
        const std::lock_guard lock{spans.mutex};
        while (Span* const unused = spans.take_unused()) release(unused);
    }
}

/// Discards dead pages until at most `keep_bytes` are left: at the frontiers first, then from the end of the last sweep
/// on, once around at most. The caller holds sweeping_.
void Heap::sweep(std::uint64_t keep_bytes) noexcept {
    for (const Area area : {Area::brk, Area::mappings}) retreat(area, keep_bytes);
    const auto [low_end, high_begin] = pages_.frontiers();
    const std::uint64_t end = pages_.bytes() >> core::kUnitShift;
    const std::uint64_t begin = cursor_ >= end ? 0 : cursor_;
    const PageRange parts[] = {{begin, std::max(low_end, begin) - begin},
                               {std::max(begin, high_begin), end - std::max(begin, high_begin)},
                               {0, std::min(begin, low_end)},
                               {high_begin, std::max(begin, high_begin) - high_begin}};
    for (const PageRange& part : parts) sweep_range(part, keep_bytes);
    for (const Area area : {Area::brk, Area::mappings}) retreat(area, keep_bytes);
}

void Heap::sweep_range(PageRange range, std::uint64_t keep_bytes) noexcept {
    for (std::uint64_t page = range.first; page < range.end() && pages_.life().dead_bytes() > keep_bytes;) {
        const PageRange dead = pages_.life().next_dead(page, range.end(), kMostAtOnce);
        page = dead.count == 0 ? range.end() : dead.first + sweep_run(dead);
        cursor_ = page;
    }
}

/// Discards the part of the run that is in one span or one free run. Returns how many pages it has dealt with.
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
    if (!run) return;  // the page is in use again, or on no list at the moment
    dead.count = std::min(dead.end(), run->end()) - dead.first;
    discard(dead);
    pages_.release_run(*run, false);
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
        // While the lock is held, no span of the class is freed.
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
            spans.release_page(*span, page - span->pages.first);
        }
    }
    if (runs > 0) release(spans.remove_surplus(*span));
}

/// Retreats a frontier over the free run before it. First discards the run's dead pages if there are too many.
void Heap::retreat(Area area, std::uint64_t keep_bytes) noexcept {
    PageLife& life = pages_.life();
    while (const auto run = pages_.hold_run_at_frontier(area)) {
        for (PageRange dead{run->first, 0}; life.dead_bytes() > keep_bytes;) {
            dead = life.next_dead(dead.end(), run->end(), kMostAtOnce);
            if (dead.count == 0) break;
            discard(dead);
        }
        const bool fresh = life.next_touched(run->first, run->end()).count == 0;
        const bool empty = fresh && discard_contents(*run);  // prefetching may have brought fresh pages in
        pages_.release_run(*run, empty);
        if (!empty) return;
    }
}

/// Discards pages beyond a frontier: prefetching may have brought some in.
void Heap::discard_beyond(Area area) noexcept {
    const PageRange beyond = pages_.hold_beyond_frontier(area, kMostAtOnce);
    discard_contents(beyond);
    pages_.release_run(beyond, true);
}

/// Discards pages that the caller holds. Returns false if they did not change.
bool Heap::discard(PageRange pages) noexcept {
    if (!discard_contents(pages)) return false;
    pages_.life().mark_discarded(pages);
    discarded_bytes_.fetch_add(pages.count << core::kUnitShift, std::memory_order_relaxed);
    return true;
}

bool Heap::discard_contents(PageRange pages) noexcept {
    try {
        pager_->discarder().discard(region(), pages,
                                    pages.count < kWorthAHole ? pager::DiskSpace::keep : pager::DiskSpace::give_back);
        return true;
    } catch (const std::system_error&) {
        return false;  // pinned by a program that freed the block, or this is a child that has not inherited the region
    }
}

}  // namespace faultline::heap
