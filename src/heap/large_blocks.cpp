// Blocks with pages of their own: allocated and freed as runs of pages, made longer where they are, or moved by pages.

#include "core/check.hpp"
#include "heap/heap.hpp"

#include <algorithm>
#include <cstring>
#include <system_error>

namespace faultline::detail {

using core::PageRange;
using heap::Span;
using heap::SpanKind;
using heap::Zeroed;

namespace {

/// 0 for what no address space holds.
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
    pages_.life().live(span->pages);
    span->own_mark.store(heap::kLive, std::memory_order_relaxed);
    return pages_.address_of(span->pages.first);
}

/// Pages that belong to nobody else and may hold old bytes.
void Heap::make_zeros(PageRange stale) noexcept {
    constexpr std::uint64_t kFew = 16;  // so many are overwritten sooner than given back and faulted in
    pages_.life().live(stale);          // or what is written here would be dropped
    if (stale.count > kFew && discard(stale)) return;
    std::memset(pages_.address_of(stale.first), 0, stale.count << core::kUnitShift);
}

void Heap::deallocate_large(Span& span) noexcept {
    // A block that has moved has left fresh pages behind.
    const std::uint64_t end = span.pages.end();
    for (PageRange used = pages_.life().next_touched(span.pages.first, end); used.count > 0;
         used = pages_.life().next_touched(used.end(), end)) {
        pages_.life().died(used);
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
        pages_.life().died({span.pages.first + pages, had - pages});
        pages_.shrink_large(span, pages);
        sweep_if_due();
        return block;
    }
    if (!pages_.grow_large(span, pages)) return move_large(span, pages);
    pages_.life().live({span.pages.first + had, pages - had});
    return block;
}

/// To where there is room, and as much again: who has grown once grows again.
void* Heap::move_large(Span& from, std::uint64_t pages) noexcept {
    Span* const to = pages_.new_large(pages, 1, 2 * pages);
    if (to == nullptr) return nullptr;
    const std::uint64_t had = from.pages.count;
    // Not to where most pages are in memory already: they would only be given back for it.
    const bool pays = pages_.life().fresh_in({to->pages.first, had}) >= had / 2;
    pages_.life().live(to->pages);
    const std::uint64_t moved = pays ? move_pages(from.pages.first, to->pages.first, had) : 0;
    copy_pages(from.pages.first + moved, to->pages.first + moved, had - moved);
    to->own_mark.store(heap::kLive, std::memory_order_relaxed);
    from.own_mark.store(heap::kNotLive, std::memory_order_relaxed);
    deallocate_large(from);
    return pages_.address_of(to->pages.first);
}

/// Returns how many could be moved, from the first on. They are fresh afterwards.
std::uint64_t Heap::move_pages(std::uint64_t from, std::uint64_t to, std::uint64_t count) noexcept {
    std::uint64_t moved = 0;
    try {
        moved = pager_->mover().move(*region_, {from, count}, to);
    } catch (const std::system_error&) {  // what is pinned, say, is copied
    }
    pages_.life().discarded({from, moved});
    return moved;
}

/// What has been copied is dead at once, so that it is not written to the store besides.
void Heap::copy_pages(std::uint64_t from, std::uint64_t to, std::uint64_t count) noexcept {
    constexpr std::uint64_t kAtOnce = 64;
    for (std::uint64_t done = 0; done < count; done += kAtOnce) {
        const std::uint64_t now = std::min(kAtOnce, count - done);
        std::memcpy(pages_.address_of(to + done), pages_.address_of(from + done), now << core::kUnitShift);
        pages_.life().died({from + done, now});
    }
}

}  // namespace faultline::detail
