// ThreadCache: the free blocks that one thread keeps of one heap, so that most allocations and frees take no lock. A
// block's address and mark are kept here, outside managed memory: no list goes through the blocks, and a block that
// nobody uses is not touched.
#pragma once

#include "heap/size_classes.hpp"
#include "heap/span.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

namespace faultline::heap {

/// Only the owner changes what is in it; others may look at the counts. A copy of the process may be made between any
/// two instructions of `pop` and `push`: then the last block is in the cache whether or not its mark says so, and only
/// what `pop` has returned, or `push` has not taken yet, is not. All else is done in a SlowPath.
class alignas(64) ThreadCache {
public:
    static constexpr std::size_t kMost = kMostBlocksCached;  ///< Of one size class.

    [[nodiscard]] std::uint32_t size(SizeClass size_class) const noexcept {
        return counts_[size_class].load(std::memory_order_relaxed);
    }
    /// The block that came last, which is live now; there is one.
    [[nodiscard]] std::byte* pop(SizeClass size_class) noexcept {
        const std::uint32_t left = size(size_class) - 1;
        const FreeBlock block = blocks_[size_class][left];
        block.mark->store(kLive, std::memory_order_relaxed);
        resize(size_class, left);
        return block.block;
    }
    /// The block is not live any more; there is room.
    void push(SizeClass size_class, FreeBlock block) noexcept {
        const std::uint32_t had = size(size_class);
        blocks_[size_class][had] = block;
        resize(size_class, had + 1);
        block.mark->store(kNotLive, std::memory_order_release);
    }

    [[nodiscard]] std::span<const FreeBlock> blocks(SizeClass size_class) const noexcept {
        return std::span{blocks_[size_class]}.first(size(size_class));
    }
    /// The first `count` blocks, which came first, are not here any more.
    void drop_oldest(SizeClass size_class, std::uint32_t count) noexcept {
        const std::uint32_t left = size(size_class) - count;
        const auto begin = blocks_[size_class].begin();
        std::move(begin + count, begin + count + left, begin);
        resize(size_class, left);
    }

    /// Of a thread that was copied without being asked: what it had is as if it had stopped between calls.
    void settle() noexcept {
        for (SizeClass i = 0; i < kCachedClasses; ++i) {
            if (size(i) > 0) blocks_[i][size(i) - 1].mark->store(kNotLive, std::memory_order_relaxed);
        }
    }

    /// See RecentCaches::this_thread(). Null: nobody's, and empty, but in a child of fork.
    std::atomic<const void*> owner{nullptr};

private:
    /// Not before what precedes it in the program: that is all a copy of the process needs.
    void resize(SizeClass size_class, std::uint32_t size) noexcept {
        counts_[size_class].store(size, std::memory_order_release);
    }

    std::array<std::atomic<std::uint32_t>, kCachedClasses> counts_{};
    std::array<std::array<FreeBlock, kMost>, kCachedClasses> blocks_{};
};

/// A heap's number, never used again: a thread's memory of a heap that has gone leads nowhere.
using HeapId = std::uint64_t;

/// The caches that this thread used last, by heap.
class RecentCaches {
public:
    [[nodiscard]] static ThreadCache* find(HeapId heap) noexcept {
        const Entry& entry = entries_[heap % kEntries];
        if (entry.heap != heap) return nullptr;
        if (entry.cache == nullptr) __builtin_unreachable();  // saves the caller a look
        return entry.cache;
    }
    static void remember(HeapId heap, ThreadCache* cache) noexcept { entries_[heap % kEntries] = {heap, cache}; }
    static void forget(HeapId heap) noexcept {
        if (entries_[heap % kEntries].heap == heap) entries_[heap % kEntries] = {};
    }

    /// Names the calling thread among those that live.
    [[nodiscard]] static const void* this_thread() noexcept { return &entries_; }

private:
    static constexpr std::size_t kEntries = 8;
    struct Entry {
        HeapId heap = 0;
        ThreadCache* cache = nullptr;
    };
    static constinit thread_local std::array<Entry, kEntries> entries_;
};

}  // namespace faultline::heap
