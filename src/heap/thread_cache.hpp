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

/// Only the owner changes what is in it; others may look at the counts.
class alignas(64) ThreadCache {
public:
    static constexpr std::size_t kMost = kMostBlocksCached;  ///< Of one size class.

    [[nodiscard]] std::uint32_t size(SizeClass size_class) const noexcept {
        return counts_[size_class].load(std::memory_order_relaxed);
    }
    /// The block that came last; there is one.
    [[nodiscard]] FreeBlock pop(SizeClass size_class) noexcept {
        const std::uint32_t left = size(size_class) - 1;
        resize(size_class, left);
        return blocks_[size_class][left];
    }
    /// There is room.
    void push(SizeClass size_class, FreeBlock block) noexcept {
        const std::uint32_t had = size(size_class);
        blocks_[size_class][had] = block;
        resize(size_class, had + 1);
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

    std::atomic<const void*> owner{nullptr};  ///< See RecentCaches::this_thread(); null: nobody's, and empty.

private:
    void resize(SizeClass size_class, std::uint32_t size) noexcept {
        counts_[size_class].store(size, std::memory_order_relaxed);
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
