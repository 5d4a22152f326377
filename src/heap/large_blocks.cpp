// Large blocks: each has whole pages of its own. They are allocated and freed as runs of pages, grown in place, or
// moved by remapping pages instead of copying.

#include "core/check.hpp"
#include "heap/heap.hpp"

#include <algorithm>
#include <cstring>
#include <system_error>

namespace faultline::heap {

using core::PageRange;
using heap::Span;
using heap::SpanKind;
using heap::Zeroed;

namespace {

/// Returns the pages that hold `bytes`; 0 if the size overflows.
std::uint64_t pages_for(std::size_t bytes) noexcept {
    return core::align_up(std::max<std::size_t>(bytes, 1), core::kUnitBytes) >> core::kUnitShift;
}

}  // namespace

void* Heap::allocate_large(std::size_t bytes, std::size_t alignment, Zeroed zeroed) noexcept {
    const heap::SlowPath slow;
    const std::uint64_t pages = pages_for(bytes);
    if (pages == 0 || bytes > pages_.bytes()) return nullptr;
    const std::uint64_t page_alignment = std::max<std::uint64_t>(alignment >> core::kUnitShift, 1);
    Span* span = pages_.new_large(pages, page_alignment, pages);
    if (span == nullptr) {
        make_all_free_blocks_available();
        span = pages_.new_large(pages, page_alignment, pages);
    }
    if (span == nullptr) return nullptr;
    if (zeroed == Zeroed::yes) {
        const PageRange all = span->pages;
        for (PageRange stale = pages_.life().next_touched(all.first, all.end()); stale.count > 0;
             stale = pages_.life().next_touched(stale.end(), all.end())) {
            make_zeros(stale);
        }
    }
    pages_.life().mark_live(span->pages);
    span->own_mark.store(heap::kLive, std::memory_order_relaxed);
    return pages_.address_of(span->pages.first);
}

/// Makes the pages zeros. They belong to the caller and may hold old bytes.
void Heap::make_zeros(PageRange stale) noexcept {
    constexpr std::uint64_t kFew = 16;  // up to here, overwriting costs less than discarding and faulting in
    pages_.life().mark_live(stale);     // or an eviction would drop the zeros written here
    if (stale.count > kFew && discard(stale)) return;
    std::memset(pages_.address_of(stale.first), 0, stale.count << core::kUnitShift);
}

void Heap::deallocate_large(Span& span) noexcept {
    // After a move the pages of the old place are fresh, not live.
    const std::uint64_t end = span.pages.end();
    for (PageRange used = pages_.life().next_touched(span.pages.first, end); used.count > 0;
         used = pages_.life().next_touched(used.end(), end)) {
        pages_.life().mark_dead(used);
    }
    pages_.free_large(span);
    sweep_if_due();
}

void* Heap::try_reallocate(void* block, std::size_t bytes) noexcept {
    if (block == nullptr) return try_allocate(bytes);
    const Span& span = live_span(block);
    if (span.kind == SpanKind::large && bytes > most_small_) {
        return reallocate_large(pages_.span_at(offset_of(block)), bytes);
    }
    const std::size_t had = usable_size_of(span);
    if (bytes <= had && bytes >= had / 2) return block;
    void* const moved = try_allocate(bytes);
    if (moved == nullptr) return bytes <= had ? block : nullptr;
    std::memcpy(moved, block, std::min(bytes, had));
    deallocate(block);
    return moved;
}

void* Heap::reallocate_large(Span& span, std::size_t bytes) noexcept {
    const heap::SlowPath slow;
    const std::uint64_t pages = pages_for(bytes);
    if (pages == 0 || bytes > pages_.bytes()) return nullptr;
    void* const block = pages_.address_of(span.pages.first);
    const std::uint64_t had = span.pages.count;
    if (pages == had) return block;
    if (pages < had) {
        pages_.life().mark_dead({span.pages.first + pages, had - pages});
        pages_.shrink_large(span, pages);
        sweep_if_due();
        return block;
    }
    if (!pages_.grow_large(span, pages)) return move_large(span, pages);
    pages_.life().mark_live({span.pages.first + had, pages - had});
    return block;
}

/// Moves a block to a larger run, with as much room again to grow: a block that has grown once often grows again.
void* Heap::move_large(Span& from, std::uint64_t pages) noexcept {
    Span* const to = pages_.new_large(pages, 1, 2 * pages);
    if (to == nullptr) return nullptr;
    const std::uint64_t had = from.pages.count;
    // Remapping pays only onto fresh pages: resident pages at the destination would have to be discarded first.
    const bool pays = pages_.life().fresh_in({to->pages.first, had}) >= had / 2;
    pages_.life().mark_live(to->pages);
    const std::uint64_t moved = pays ? move_pages(from.pages.first, to->pages.first, had) : 0;
    copy_pages(from.pages.first + moved, to->pages.first + moved, had - moved);
    to->own_mark.store(heap::kLive, std::memory_order_relaxed);
    from.own_mark.store(heap::kNotLive, std::memory_order_relaxed);
    deallocate_large(from);
    return pages_.address_of(to->pages.first);
}

/// Moves pages by remapping. Returns how many were moved, from the first on; those are fresh afterwards.
std::uint64_t Heap::move_pages(std::uint64_t from, std::uint64_t to, std::uint64_t count) noexcept {
    std::uint64_t moved = 0;
    try {
        moved = pager_->mover().move(region(), {from, count}, to);
    } catch (const std::system_error&) {  // copied instead: a page is pinned, for example
    }
    pages_.life().mark_discarded({from, moved});
    return moved;
}

/// Copies pages. Marks the source dead as it goes, so that evictions do not write it to the store.
void Heap::copy_pages(std::uint64_t from, std::uint64_t to, std::uint64_t count) noexcept {
    constexpr std::uint64_t kAtOnce = 64;
    for (std::uint64_t done = 0; done < count; done += kAtOnce) {
        const std::uint64_t now = std::min(kAtOnce, count - done);
        std::memcpy(pages_.address_of(to + done), pages_.address_of(from + done), now << core::kUnitShift);
        pages_.life().mark_dead({from + done, now});
    }
}

}  // namespace faultline::heap
