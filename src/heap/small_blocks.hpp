// SmallBlocks: allocates and frees blocks that share pages. A block comes from the calling thread's cache, else from
// the TransferCache of the thread's shard, else from the shard's spans, and is freed on the same way back. A block of
// another shard goes into the thread's cache, too; when the cache is full, it goes back to its own shard. The fast
// paths `pop` and `push` take no lock and are inlined into Heap; all others run inside a NoForkSection. Used by Heap.
#pragma once

#include "heap/central_spans.hpp"
#include "heap/heap_registry.hpp"
#include "heap/page_sweeper.hpp"
#include "heap/thread_caches.hpp"
#include "heap/transfer_cache.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace faultline::heap {

class SmallBlocks final : public RegisteredHeap {
public:
    /// `max_transfer_bytes`: the most bytes to keep in the TransferCache.
    SmallBlocks(HeapPages& pages, CentralSpans& central, PageSweeper& sweeper, std::uint64_t max_transfer_bytes);
    ~SmallBlocks();
    SmallBlocks(const SmallBlocks&) = delete;
    SmallBlocks& operator=(const SmallBlocks&) = delete;

    /// Takes a block of a cached class out of the cache that the calling thread used last and marks it live. Returns
    /// null if that is another heap's or has no such block; call `allocate` then.
    [[nodiscard, gnu::always_inline]] void* pop(SizeClass size_class) noexcept {
        if (ThreadCache* const cache = caches_.last()) [[likely]] {
            if (void* const block = cache->pop(size_class)) [[likely]]
                return block;
        }
        return nullptr;
    }
    /// Stores a live block in the cache that the calling thread used last and marks it free. Returns false if that is
    /// another heap's or holds `most` blocks of the class already; call `deallocate` then.
    [[nodiscard, gnu::always_inline]] bool push(SizeClass size_class, FreeBlock block, std::uint32_t most) noexcept {
        ThreadCache* const cache = caches_.last();
        return cache != nullptr && cache->push(size_class, block, most);
    }

    /// Allocates a block of a cached class; refills the thread's cache. Returns null if the heap is full.
    [[nodiscard]] void* allocate(SizeClass size_class) noexcept;
    /// Allocates a block of any class without a cache: only spans know which of their pages are still zeros.
    [[nodiscard]] void* allocate_uncached(SizeClass size_class, Zeroed zeroed) noexcept;

    /// Frees a live block of a cached class; makes room in the thread's cache.
    void deallocate(SizeClass size_class, FreeBlock block) noexcept;
    /// Puts blocks that are not live back into their spans.
    void put_back(SizeClass size_class, std::span<const FreeBlock> blocks) noexcept;

    /// Puts all cached blocks back, except those of other living threads, and frees empty spans.
    void release_unused() noexcept;
    /// The same, and waits for a running sweep: call when the reservation seems used up.
    void make_all_free_blocks_available() noexcept;

    /// Returns how many free blocks threads and the TransferCache hold.
    [[nodiscard]] CachedCounts cached_counts() noexcept;

private:
    void thread_ends(const void* thread) noexcept override;
    void start_in_child(const void* thread) noexcept override;

    [[nodiscard]] std::size_t take(Shard shard, SizeClass size_class, std::span<FreeBlock> blocks,
                                   StalePages* stale = nullptr) noexcept;
    [[nodiscard]] std::size_t take_abandoned(Shard shard, SizeClass size_class, std::span<FreeBlock> blocks,
                                             StalePages* stale) noexcept;
    void hand_back(SizeClass size_class, std::span<const FreeBlock> blocks) noexcept;
    void flush(ThreadCache& cache) noexcept;
    void flush_transfer_cache() noexcept;

    HeapPages& pages_;
    CentralSpans& central_;
    PageSweeper& sweeper_;
    ThreadCaches caches_;
    TransferCache transfer_;
};

}  // namespace faultline::heap
