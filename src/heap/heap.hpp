// Heap: the implementation behind faultline::Heap. The fast paths are in this header, to be inlined into their few
// callers. Allocation finds the size class in a table and takes a block from the calling thread's cache. Freeing finds
// the span by arithmetic and checks the block's mark. Everything else takes a lock: blocks move in batches between
// threads and spans (heap.cpp), large blocks are runs of pages (large_blocks.cpp), dead pages are discarded
// (sweeping.cpp).
//
// Lock order: LiveHeaps', sweeping_, caches_mutex_, a size class's (of its batches, or of its spans), HeapPages'.
//
// While a page is discarded only sweeping_ is held. An allocation waits for it only when it has found no free block.
//
// The heap does not touch blocks, so its locks are never held across a fault. The exceptions, without a lock held, are
// the zeros of try_allocate_zeroed and the bytes that try_reallocate copies.
//
// A thread that holds a lock is inside a SlowPath, and so is one that holds blocks which are in no cache, batch or
// span. Fork waits for such threads, so it never copies such a state.
#pragma once

#include "heap/batches.hpp"
#include "heap/class_spans.hpp"
#include "heap/heap_pages.hpp"
#include "heap/live_heaps.hpp"
#include "heap/resource.hpp"
#include "heap/slow_path.hpp"
#include "heap/span_notes.hpp"
#include "heap/thread_cache.hpp"
#include "pager/owned_region.hpp"

#include <faultline/heap.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>

namespace faultline::heap {

enum class Zeroed : bool { no, yes };

class Heap final : public heap::RegisteredHeap {
public:
    Heap(std::shared_ptr<pager::Pager> pager, const HeapOptions& options);
    ~Heap();
    Heap(const Heap&) = delete;
    Heap& operator=(const Heap&) = delete;

    // Like the functions of faultline::Heap with the same names. `alignment` is a power of two.

    [[nodiscard, gnu::always_inline]] void* try_allocate(std::size_t bytes) noexcept {
        // Every size in the table of small sizes is cached, whatever the threshold.
        static_assert(heap::size_classes::kTableBytes <= core::kUnitBytes);
        if (bytes > heap::size_classes::kTableBytes && bytes > most_cached_) [[unlikely]] {
            return allocate_uncached(bytes, 1, heap::Zeroed::no);
        }
        const heap::SizeClass size_class = heap::class_of(bytes);
        if (heap::ThreadCache* const cache = heap::RecentCaches::find(id_)) [[likely]] {
            if (void* const block = cache->pop(size_class)) [[likely]]
                return block;
        }
        return allocate_refilling(size_class);
    }
    [[nodiscard]] void* try_allocate(std::size_t bytes, std::size_t alignment) noexcept {
        return alignment <= heap::kGranule ? try_allocate(bytes) : allocate_aligned(bytes, alignment);
    }
    [[nodiscard]] void* try_allocate_zeroed(std::size_t bytes) noexcept;
    [[nodiscard]] void* try_reallocate(void* block, std::size_t bytes) noexcept;

    [[gnu::always_inline]] void deallocate(void* block) noexcept { deallocate(block, 0); }
    [[gnu::always_inline]] void deallocate(void* block, std::size_t bytes) noexcept {
        const std::uint64_t offset = offset_of(block);
        if (offset >= pages_.bytes()) [[unlikely]]
            return refuse_unless_null(block);
        heap::Span& span = pages_.span_at(offset);
        const heap::Span::Position position = span.position_of(offset);
        if (!position.is_begin) [[unlikely]]
            refuse(block);
        heap::Mark& mark = span.marks[position.index];
        if (mark.load(std::memory_order_relaxed) != heap::kLive) [[unlikely]]
            refuse(block);
        if (bytes > span.block_bytes && bytes > usable_size_of(span)) [[unlikely]]
            refuse_size(block, bytes);
        if (span.cached == 0) [[unlikely]]
            return deallocate_uncached(span, position.index, block);
        const heap::FreeBlock freed{static_cast<std::byte*>(block), &mark};
        if (heap::ThreadCache* const cache = heap::RecentCaches::find(id_)) [[likely]] {
            if (cache->push(span.size_class, freed, span.cached)) [[likely]]
                return;
        }
        deallocate_flushing(span.size_class, freed);
    }

    [[nodiscard]] std::size_t usable_size(const void* block) const noexcept { return usable_size_of(live_span(block)); }
    [[nodiscard]] bool owns(const void* address) const noexcept { return offset_of(address) < pages_.bytes(); }
    std::size_t trim() noexcept;
    [[nodiscard]] HeapStats stats();
    void residency(std::span<ResidencyCell> cells) noexcept;
    [[nodiscard]] heap::Resource& resource() noexcept { return resource_; }

    [[nodiscard]] pager::Pager& pager() noexcept { return *pager_; }
    [[nodiscard]] pager::Region& region() const noexcept { return region_->region(); }
    /// True in the process that made the heap, and in a child that has inherited it.
    [[nodiscard]] bool in_owner_process() const noexcept { return pager_->in_owner_process(); }
    /// Destroys the region. Throws EBUSY while a page is pinned. Afterwards only the destructor may be called.
    void drop_pages();

    void thread_ends(const void* thread) noexcept override;
    void start_in_child(const void* thread) noexcept override;

private:
    [[nodiscard]] std::uint64_t offset_of(const void* address) const noexcept {
        return core::address_of(address) - core::address_of(pages_.base());
    }
    [[nodiscard]] static void* hand_out(heap::FreeBlock block) noexcept {
        block.mark->store(heap::kLive, std::memory_order_relaxed);
        return block.block;
    }
    [[nodiscard]] static std::size_t usable_size_of(const heap::Span& span) noexcept {
        return span.kind == heap::SpanKind::large ? span.pages.count << core::kUnitShift : span.block_bytes;
    }

    // Blocks that share pages (heap.cpp).
    [[nodiscard]] void* allocate_refilling(heap::SizeClass size_class) noexcept;
    [[nodiscard]] void* allocate_uncached(std::size_t bytes, std::uint64_t alignment, heap::Zeroed zeroed) noexcept;
    [[nodiscard]] void* allocate_aligned(std::size_t bytes, std::size_t alignment) noexcept;
    [[nodiscard]] void* allocate_one(heap::SizeClass size_class, heap::Zeroed zeroed) noexcept;
    void deallocate_flushing(heap::SizeClass size_class, heap::FreeBlock block) noexcept;
    void deallocate_uncached(heap::Span& span, std::uint64_t index, void* block) noexcept;
    [[nodiscard]] std::size_t take_blocks(heap::SizeClass size_class, std::span<heap::FreeBlock> blocks,
                                          heap::StalePages* stale = nullptr) noexcept;
    [[nodiscard]] std::size_t take_from_spans(heap::SizeClass size_class, std::span<heap::FreeBlock> blocks,
                                              heap::StalePages* stale, bool last_resort) noexcept;
    void add_span(heap::Span& span) noexcept;
    void put_back(heap::SizeClass size_class, std::span<const heap::FreeBlock> blocks) noexcept;
    void release(heap::Span* span) noexcept;
    void flush(heap::ThreadCache& cache) noexcept;
    void flush_unowned_caches() noexcept;
    void flush_batches() noexcept;
    [[nodiscard]] heap::ThreadCache* cache_of_this_thread() noexcept;
    void make_all_free_blocks_available() noexcept;

    // Large blocks (large_blocks.cpp).
    [[nodiscard]] void* allocate_large(std::size_t bytes, std::size_t alignment, heap::Zeroed zeroed) noexcept;
    void deallocate_large(heap::Span& span) noexcept;
    [[nodiscard]] void* reallocate_large(heap::Span& span, std::size_t bytes) noexcept;
    [[nodiscard]] void* move_large(heap::Span& from, std::uint64_t pages) noexcept;
    [[nodiscard]] std::uint64_t move_pages(std::uint64_t from, std::uint64_t to, std::uint64_t count) noexcept;
    void copy_pages(std::uint64_t from, std::uint64_t to, std::uint64_t count) noexcept;
    void make_zeros(core::PageRange stale) noexcept;

    // Dead pages (sweeping.cpp).
    void sweep_if_due() noexcept {
        if (pages_.life().dead_bytes() > most_dead_) [[unlikely]]
            sweep_some();
    }
    void sweep_some() noexcept;
    void sweep(std::uint64_t keep_bytes) noexcept;
    void sweep_range(core::PageRange range, std::uint64_t keep_bytes) noexcept;
    std::uint64_t sweep_run(core::PageRange dead) noexcept;
    void sweep_free_run(core::PageRange dead) noexcept;
    void sweep_span(heap::SizeClass size_class, core::PageRange dead) noexcept;
    void retreat(heap::Area area, std::uint64_t keep_bytes) noexcept;
    void release_kept_spans() noexcept;
    void discard_beyond(heap::Area area) noexcept;
    bool discard(core::PageRange pages) noexcept;
    bool discard_contents(core::PageRange pages) noexcept;

    // Bad input (bad_block.cpp).
    void refuse_unless_null(const void* block) const noexcept;
    [[noreturn]] void refuse(const void* block) const noexcept;
    [[noreturn]] void refuse_size(const void* block, std::size_t bytes) const noexcept;
    [[noreturn]] void refuse_twice(const void* block) const noexcept;
    [[nodiscard]] const heap::Span& live_span(const void* block) const noexcept;

    heap::HeapId id_ = 0;
    std::shared_ptr<pager::Pager> pager_;
    std::shared_ptr<pager::OwnedRegion> region_;  // null once the pages are dropped
    mutable heap::HeapPages pages_;
    heap::SpanNotes notes_;
    std::size_t most_small_;   // largest block that shares pages, in bytes
    std::size_t most_cached_;  // largest block that threads cache, in bytes
    std::uint64_t most_dead_;  // dead bytes above which a sweep is due
    std::array<heap::ClassSpans, heap::kSizeClasses> classes_;
    heap::Batches batches_;
    sys::LazyArray<heap::ThreadCache> caches_;
    std::mutex caches_mutex_;  // guards caches_used_ and the caches' owners
    std::size_t caches_used_ = 0;
    std::mutex sweeping_;  // guards cursor_; held by a thread that discards pages
    std::uint64_t cursor_ = 0;
    std::atomic<std::uint64_t> discarded_bytes_{0};
    heap::Resource resource_;
};

}  // namespace faultline::heap
