#include "heap/page_sweeper.hpp"

#include <algorithm>

namespace faultline::heap {

using core::PageRange;

namespace {

constexpr std::uint64_t kMostAtOnce = CentralSpans::kMostPagesHeld;  // pages

}  // namespace

/// Sweeps down to half the dead bytes that may be kept, so that the next sweep is not due soon.
void PageSweeper::sweep_some() noexcept {
    const std::unique_lock lock{mutex_, std::try_to_lock};
    if (!lock.owns_lock()) return;  // another thread is sweeping
    sweep(max_dead_bytes_ / 2);
}

std::uint64_t PageSweeper::sweep_all() noexcept {
    const std::lock_guard lock{mutex_};
    const std::uint64_t before = discarder_.discarded_bytes();
    sweep(0);
    discard_beyond_frontier(Area::brk);
    discard_beyond_frontier(Area::mappings);
    return discarder_.discarded_bytes() - before;
}

/// Discards dead pages until at most `keep_bytes` are left: at the frontiers first, then from the end of the last sweep
/// on, once around at most.
void PageSweeper::sweep(std::uint64_t keep_bytes) noexcept {
    for (const Area area : {Area::brk, Area::mappings}) retreat_frontier(area, keep_bytes);
    const auto [low_end, high_begin] = pages_.frontiers();
    const std::uint64_t end = pages_.bytes() >> core::kUnitShift;
    const std::uint64_t begin = cursor_ >= end ? 0 : cursor_;
    const PageRange parts[] = {{begin, std::max(low_end, begin) - begin},
                               {std::max(begin, high_begin), end - std::max(begin, high_begin)},
                               {0, std::min(begin, low_end)},
                               {high_begin, std::max(begin, high_begin) - high_begin}};
    for (const PageRange& part : parts) sweep_range(part, keep_bytes);
    for (const Area area : {Area::brk, Area::mappings}) retreat_frontier(area, keep_bytes);
}

void PageSweeper::sweep_range(PageRange range, std::uint64_t keep_bytes) noexcept {
    for (std::uint64_t page = range.first; page < range.end() && pages_.life().dead_bytes() > keep_bytes;) {
        const PageRange dead = pages_.life().next_dead(page, range.end(), kMostAtOnce);
        page = dead.count == 0 ? range.end() : dead.first + sweep_run(dead);
        cursor_ = page;
    }
}

/// Discards the part of the run that is in one span or one free run. Returns how many pages it has dealt with.
std::uint64_t PageSweeper::sweep_run(PageRange dead) noexcept {
    const HeapPages::Owner owner = pages_.owner_of(dead.first);
    if (owner.kind != SpanKind::blocks) return sweep_free_run(dead);
    dead.count = std::min(dead.end(), owner.pages.end()) - dead.first;
    sweep_span(owner.size_class, dead);
    return dead.count;
}

std::uint64_t PageSweeper::sweep_free_run(PageRange dead) noexcept {
    const auto run = pages_.hold_run_around(dead.first);
    if (!run) return dead.count;  // the page is in use again, or on no list at the moment
    dead.count = std::min(dead.end(), run->end()) - dead.first;
    discarder_.discard(dead);
    pages_.release_run(*run, false);
    return dead.count;
}

void PageSweeper::sweep_span(SizeClass size_class, PageRange dead) noexcept {
    CentralSpans::HeldPages held;
    central_.hold_dead_pages(size_class, dead, held);
    for (std::size_t i = 0; i < held.count; ++i) discarder_.discard(held.ranges[i]);
    central_.release_pages(held);
}

/// Retreats a frontier over the free run before it. First discards the run's dead pages if there are too many.
void PageSweeper::retreat_frontier(Area area, std::uint64_t keep_bytes) noexcept {
    PageLife& life = pages_.life();
    while (const auto run = pages_.hold_run_at_frontier(area)) {
        for (PageRange dead{run->first, 0}; life.dead_bytes() > keep_bytes;) {
            dead = life.next_dead(dead.end(), run->end(), kMostAtOnce);
            if (dead.count == 0) break;
            discarder_.discard(dead);
        }
        const bool fresh = life.next_touched(run->first, run->end()).count == 0;
        const bool empty = fresh && discarder_.discard_fresh(*run);
        pages_.release_run(*run, empty);
        if (!empty) return;
    }
}

void PageSweeper::discard_beyond_frontier(Area area) noexcept {
    const PageRange beyond = pages_.hold_beyond_frontier(area, kMostAtOnce);
    discarder_.discard_fresh(beyond);
    pages_.release_run(beyond, true);
}

}  // namespace faultline::heap
