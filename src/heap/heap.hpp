// Heap: the implementation behind faultline::Heap. It composes the parts and decides which part serves a request. The
// fast paths are in this header, to be inlined into their few callers. Allocation finds the size class in a table and
// takes a block from the calling thread's cache. Freeing finds the span by arithmetic and checks the block's mark.
//
//   HeapPages     the reservation, and the span of each page     CentralSpans  free blocks in spans, by size class
//   SmallBlocks   blocks that share pages; threads' caches       LargeBlocks   blocks with pages of their own
//   PageSweeper   discards dead pages                            bad_block.hpp aborts on a bad pointer
//
// Threads belong to shards (shard.hpp), which share no span: each thread owns its spans while there are few threads.
//
// Lock order: HeapRegistry', PageSweeper's, ThreadCaches', a size class's (TransferCache's or ClassSpans'; of two
// shards the lower first), HeapPages' or SpanMetadata's.
//
// While a page is discarded only PageSweeper's lock is held. An allocation waits for it only when it has found no free
// block.
//
// The heap does not touch blocks, so its locks are never held across a fault. The exceptions, without a lock held, are
// the zeros of try_allocate_zeroed and the bytes that try_reallocate copies.
//
// A thread that holds a lock is inside a NoForkSection, and so is one that holds blocks which are in no cache, batch or
// span. Fork waits for such threads, so it never copies such a state.
#pragma once

#include "heap/bad_block.hpp"
#include "heap/heap_pages.hpp"
#include "heap/large_blocks.hpp"
#include "heap/page_sweeper.hpp"
#include "heap/resource.hpp"
#include "heap/small_blocks.hpp"

#include <faultline/heap.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace faultline::heap {

class Heap {
public:
    Heap(std::shared_ptr<pager::Pager> pager, const HeapOptions& options);
    Heap(const Heap&) = delete;
    Heap& operator=(const Heap&) = delete;

    // Like the functions of faultline::Heap with the same names. `alignment` is a power of two.

    [[nodiscard, gnu::always_inline]] void* try_allocate(std::size_t bytes) noexcept {
        // Every size in the table of small sizes is cached, whatever the threshold.
        static_assert(size_classes::kTableBytes <= core::kUnitBytes);
        if (bytes <= size_classes::kTableBytes) [[likely]]
            return allocate_cached(size_classes::kSmallTable[(bytes + kGranule - 1) / kGranule]);
        if (bytes > max_cached_bytes_) return allocate_uncached(bytes, 1, Zeroed::no);
        return allocate_cached(size_classes::computed(bytes));
    }
    [[nodiscard]] void* try_allocate(std::size_t bytes, std::size_t alignment) noexcept {
        return alignment <= kGranule ? try_allocate(bytes) : allocate_aligned(bytes, alignment);
    }
    [[nodiscard]] void* try_allocate_zeroed(std::size_t bytes) noexcept;
    [[nodiscard]] void* try_reallocate(void* block, std::size_t bytes) noexcept;

    [[gnu::always_inline]] void deallocate(void* block) noexcept { deallocate(block, 0); }
    [[gnu::always_inline]] void deallocate(void* block, std::size_t bytes) noexcept {
        const std::uint64_t offset = pages_.offset_of(block);
        if (offset >= pages_.bytes()) [[unlikely]]
            return abort_unless_null(pages_, block);
        Span& span = pages_.span_at(offset);
        const Span::Position position = span.position_of(offset);
        if (!position.is_begin) [[unlikely]]
            return abort_on_free(pages_, block);
        Mark& mark = span.marks[position.index];
        if (mark.load(std::memory_order_relaxed) != kLive) [[unlikely]]
            return abort_on_free(pages_, block);
        if (bytes > span.block_bytes && bytes > span.usable_bytes()) [[unlikely]]
            abort_bad_size(pages_, block, bytes);
        if (span.cached == 0) [[unlikely]]
            return deallocate_uncached(span, position.index, block);
        const FreeBlock freed{static_cast<std::byte*>(block), &mark};
        if (small_.push(span.size_class, freed, span.cached)) [[likely]]
            return;
        small_.deallocate(span.size_class, freed);
    }

    [[nodiscard]] std::size_t usable_size(const void* block) const noexcept {
        return live_span(pages_, block).usable_bytes();
    }
    [[nodiscard]] bool owns(const void* address) const noexcept { return pages_.offset_of(address) < pages_.bytes(); }
    std::size_t trim() noexcept;
    [[nodiscard]] HeapStats stats();
    void residency(std::span<ResidencyCell> cells) noexcept;
    [[nodiscard]] Resource& resource() noexcept { return resource_; }

    [[nodiscard]] pager::Pager& pager() noexcept { return *pager_; }
    [[nodiscard]] pager::Region& region() const noexcept { return pages_.region(); }
    /// True in the process that made the heap, and in a child that has inherited it.
    [[nodiscard]] bool in_owner_process() const noexcept { return pages_.in_owner_process(); }
    /// Destroys the region. Throws EBUSY while a page is pinned. Afterwards only the destructor may be called.
    void drop_pages() { pages_.destroy_region(); }

private:
    [[nodiscard, gnu::always_inline]] void* allocate_cached(SizeClass size_class) noexcept {
        if (void* const block = small_.pop(size_class)) [[likely]]
            return block;
        return small_.allocate(size_class);
    }
    [[nodiscard]] void* allocate_uncached(std::size_t bytes, std::size_t alignment, Zeroed zeroed) noexcept;
    [[nodiscard]] void* allocate_aligned(std::size_t bytes, std::size_t alignment) noexcept;
    [[nodiscard]] void* allocate_large(std::size_t bytes, std::size_t alignment, Zeroed zeroed) noexcept;
    void deallocate_uncached(Span& span, std::uint64_t index, void* block) noexcept;

    std::shared_ptr<pager::Pager> pager_;
    HeapPages pages_;
    std::size_t max_small_bytes_;   // of a block that shares pages
    std::size_t max_cached_bytes_;  // of a block that threads cache
    CentralSpans central_;
    PageDiscarder discarder_;
    PageSweeper sweeper_;
    SmallBlocks small_;
    LargeBlocks large_;
    Resource resource_;
};

}  // namespace faultline::heap
