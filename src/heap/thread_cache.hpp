// ThreadCache: the free blocks of one heap that one thread keeps, so that most allocations and frees take no lock. It
// stores each block's address and the address of its mark outside managed memory: no list runs through the blocks, so
// an unused block is not touched. ThreadCaches owns the caches; RecentCaches finds the calling thread's.
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

/// Only the owning thread changes the contents; other threads may read the counts.
///
/// Fork by another thread may copy the process between any two instructions of `pop` and `push`. The copy's cache then
/// contains the blocks that its count covers, even if the mark of the last one says live; see repair_after_fork. It
/// does not contain a block that `pop` has returned or `push` has not counted yet. All other functions run inside a
/// NoForkSection, which fork waits for.
class alignas(64) ThreadCache {
public:
    static constexpr std::size_t kMost = kMostBlocksCached;  ///< Of one size class.

    [[nodiscard]] std::uint32_t size(SizeClass size_class) const noexcept {
        return counts_[size_class].load(std::memory_order_relaxed);
    }
    /// Takes the block pushed last and marks it live. Returns null if the cache has none.
    [[nodiscard]] std::byte* pop(SizeClass size_class) noexcept {
        const std::uint32_t had = size(size_class);
        if (had == 0) return nullptr;
        const FreeBlock block = blocks_[size_class][had - 1];
        if (block.block == nullptr) __builtin_unreachable();  // saves the caller a null check
        block.mark->store(kLive, std::memory_order_relaxed);
        resize(size_class, had - 1);
        return block.block;
    }
    /// Stores a block and marks it not live. Returns false, and changes nothing, if the cache holds `most` blocks
    /// already.
    [[nodiscard]] bool push(SizeClass size_class, FreeBlock block, std::uint32_t most) noexcept {
        const std::uint32_t had = size(size_class);
        if (had >= most) return false;
        blocks_[size_class][had] = block;
        resize(size_class, had + 1);
        block.mark->store(kNotLive, std::memory_order_release);
        return true;
    }
    /// Stores blocks that are not live, the first on top. The caller has checked that there is room.
    void fill(SizeClass size_class, std::span<const FreeBlock> blocks) noexcept {
        const std::uint32_t had = size(size_class);
        std::reverse_copy(blocks.begin(), blocks.end(), blocks_[size_class].begin() + had);
        resize(size_class, had + static_cast<std::uint32_t>(blocks.size()));
    }

    [[nodiscard]] std::span<const FreeBlock> blocks(SizeClass size_class) const noexcept {
        return std::span{blocks_[size_class]}.first(size(size_class));
    }
    /// Removes the `count` oldest blocks.
    void drop_oldest(SizeClass size_class, std::uint32_t count) noexcept {
        const std::uint32_t left = size(size_class) - count;
        const auto begin = blocks_[size_class].begin();
        std::move(begin + count, begin + count + left, begin);
        resize(size_class, left);
    }

    /// Repairs the copied cache of a thread that fork interrupted: clears the mark of the last block of each class,
    /// which an unfinished `pop` or `push` may have left live.
    void repair_after_fork() noexcept {
        for (SizeClass i = 0; i < kCachedClasses; ++i) {
            if (size(i) > 0) blocks_[i][size(i) - 1].mark->store(kNotLive, std::memory_order_relaxed);
        }
    }

    /// The shard from which the owner takes its blocks. Constant while the cache has an owner.
    Shard shard = 0;
    /// The owner's RecentCaches::this_thread(). Null: no owner. Such a cache is empty, except in a child of fork.
    std::atomic<const void*> owner{nullptr};

private:
    /// Publishes a new count after all stores before it (release). A copy of the process by fork needs no more.
    void resize(SizeClass size_class, std::uint32_t size) noexcept {
        counts_[size_class].store(size, std::memory_order_release);
    }

    std::array<std::atomic<std::uint32_t>, kCachedClasses> counts_{};
    std::array<std::array<FreeBlock, kMost>, kCachedClasses> blocks_{};
};

/// A heap's number. Numbers are never reused, so an entry of a destroyed heap matches no other.
using HeapId = std::uint64_t;

/// The caches that the calling thread used last, by heap number. No lock: all data is thread-local.
class RecentCaches {
public:
    /// Returns the cache if the thread's last call was for the same heap: most threads use one heap. Else null; `find`
    /// may know it.
    [[nodiscard, gnu::always_inline]] static ThreadCache* find_last(HeapId heap) noexcept {
        if (last_.heap != heap) return nullptr;
        if (last_.cache == nullptr) __builtin_unreachable();  // saves the caller a null check
        return last_.cache;
    }
    [[nodiscard]] static ThreadCache* find(HeapId heap) noexcept {
        const Entry& entry = entries_[heap % kEntries];
        if (entry.heap != heap) return nullptr;
        last_ = entry;
        return entry.cache;
    }
    static void remember(HeapId heap, ThreadCache* cache) noexcept {
        last_ = entries_[heap % kEntries] = {heap, cache};
    }
    static void forget(HeapId heap) noexcept {
        if (last_.heap == heap) last_ = {};
        if (entries_[heap % kEntries].heap == heap) entries_[heap % kEntries] = {};
    }

    /// Identifies the calling thread among the living threads.
    [[nodiscard]] static const void* this_thread() noexcept { return &entries_; }

private:
    static constexpr std::size_t kEntries = 8;
    struct Entry {
        HeapId heap = 0;
        ThreadCache* cache = nullptr;
    };
    static constinit thread_local std::array<Entry, kEntries> entries_;
    static constinit thread_local Entry last_;  // the entry found last
};

}  // namespace faultline::heap
