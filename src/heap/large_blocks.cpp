#include "heap/large_blocks.hpp"

#include <algorithm>
#include <cstring>
#include <system_error>

namespace faultline::heap {

using core::PageRange;

namespace {

/// Returns the pages that hold `bytes`; 0 bytes need one page.
std::uint64_t pages_for(std::size_t bytes) noexcept {
    return core::align_up(std::max<std::size_t>(bytes, 1), core::kUnitBytes) >> core::kUnitShift;
}

}  // namespace

void* LargeBlocks::allocate(std::size_t bytes, std::size_t alignment, Zeroed zeroed) noexcept {
    const std::uint64_t pages = pages_for(bytes);
    const std::uint64_t page_alignment = std::max<std::uint64_t>(alignment >> core::kUnitShift, 1);
    Span* const span = pages_.new_large(pages, page_alignment, pages);
    if (span == nullptr) return nullptr;
    if (zeroed == Zeroed::yes) zero_touched(span->pages);
    pages_.life().mark_live(span->pages);
    span->own_mark.store(kLive, std::memory_order_relaxed);
    return pages_.address_of(span->pages.first);
}

/// Zeroes the pages that may hold old bytes. The caller holds the pages.
void LargeBlocks::zero_touched(PageRange pages) noexcept {
    for (PageRange stale = pages_.life().next_touched(pages.first, pages.end()); stale.count > 0;
         stale = pages_.life().next_touched(stale.end(), pages.end())) {
        zero(stale);
    }
}

void LargeBlocks::zero(PageRange stale) noexcept {
    constexpr std::uint64_t kFew = 16;  // up to here, overwriting costs less than discarding and faulting in
    pages_.life().mark_live(stale);     // or an eviction would drop the zeros written here
    if (stale.count > kFew && discarder_.discard(stale)) return;
    std::memset(pages_.address_of(stale.first), 0, stale.count << core::kUnitShift);
}

void LargeBlocks::deallocate(Span& span) noexcept {
    // After a move the pages of the old place are fresh, not live.
    const std::uint64_t end = span.pages.end();
    for (PageRange used = pages_.life().next_touched(span.pages.first, end); used.count > 0;
         used = pages_.life().next_touched(used.end(), end)) {
        pages_.life().mark_dead(used);
    }
    pages_.free_large(span);
    sweeper_.sweep_if_due();
}

void* LargeBlocks::reallocate(Span& span, std::size_t bytes) noexcept {
    if (bytes > pages_.bytes()) return nullptr;
    const std::uint64_t pages = pages_for(bytes);
    void* const block = pages_.address_of(span.pages.first);
    const std::uint64_t had = span.pages.count;
    if (pages == had) return block;
    if (pages < had) {
        pages_.life().mark_dead({span.pages.first + pages, had - pages});
        pages_.shrink_large(span, pages);
        sweeper_.sweep_if_due();
        return block;
    }
    if (!pages_.grow_large(span, pages)) return move(span, pages);
    pages_.life().mark_live({span.pages.first + had, pages - had});
    return block;
}

/// Moves a block to a larger run, with as much room again to grow: a block that has grown once often grows again.
void* LargeBlocks::move(Span& from, std::uint64_t pages) noexcept {
    Span* const to = pages_.new_large(pages, 1, 2 * pages);
    if (to == nullptr) return nullptr;
    const std::uint64_t had = from.pages.count;
    // Remapping pays only onto fresh pages: resident pages at the destination would have to be discarded first.
    const bool pays = pages_.life().fresh_in({to->pages.first, had}) >= had / 2;
    pages_.life().mark_live(to->pages);
    const std::uint64_t moved = pays ? move_pages(from.pages.first, to->pages.first, had) : 0;
    copy_pages(from.pages.first + moved, to->pages.first + moved, had - moved);
    to->own_mark.store(kLive, std::memory_order_relaxed);
    from.own_mark.store(kNotLive, std::memory_order_relaxed);
    deallocate(from);
    return pages_.address_of(to->pages.first);
}

/// Moves pages by remapping. Returns how many were moved, from the first on; those are fresh afterwards.
std::uint64_t LargeBlocks::move_pages(std::uint64_t from, std::uint64_t to, std::uint64_t count) noexcept {
    std::uint64_t moved = 0;
    try {
        moved = pager_.mover().move(pages_.region(), {from, count}, to);
    } catch (const std::system_error&) {  // copied instead: a page is pinned, for example
    }
    pages_.life().mark_discarded({from, moved});
    return moved;
}

/// Copies pages. Marks the source dead as it goes, so that evictions do not write it to the store.
void LargeBlocks::copy_pages(std::uint64_t from, std::uint64_t to, std::uint64_t count) noexcept {
    constexpr std::uint64_t kAtOnce = 64;
    for (std::uint64_t done = 0; done < count; done += kAtOnce) {
        const std::uint64_t now = std::min(kAtOnce, count - done);
        std::memcpy(pages_.address_of(to + done), pages_.address_of(from + done), now << core::kUnitShift);
        pages_.life().mark_dead({from + done, now});
    }
}

}  // namespace faultline::heap
