// ThreadCache: the free blocks that one thread keeps of one heap, so that most allocations and frees take no lock. A
// block's address and mark are kept here, outside managed memory: no list goes through the blocks, and a block that
// nobody uses is not touched.
#pragma once

#include "heap/size_classes.hpp"
#include "heap/span.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace faultline::heap {

/// Free blocks of one size class. Only the owner changes it; others may look at the count.
struct Bin {
    static constexpr std::size_t kMost = 64;

    std::atomic<std::uint32_t> count{0};
    std::array<FreeBlock, kMost> blocks{};

    [[nodiscard]] std::uint32_t size() const noexcept { return count.load(std::memory_order_relaxed); }
    void resize(std::uint32_t size) noexcept { count.store(size, std::memory_order_relaxed); }

    [[nodiscard]] FreeBlock pop() noexcept {
        const std::uint32_t left = size() - 1;
        resize(left);
        return blocks[left];
    }
    void push(FreeBlock block) noexcept {
        const std::uint32_t had = size();
        blocks[had] = block;
        resize(had + 1);
    }
};

struct alignas(64) ThreadCache {
    std::array<Bin, kCachedClasses> bins{};
    std::atomic<const void*> owner{nullptr};  ///< See this_thread(); null: nobody's, and empty.
};

/// A heap's number, never used again: a thread's memory of a heap that has gone leads nowhere.
using HeapId = std::uint64_t;

/// The caches that this thread used last, by heap.
class RecentCaches {
public:
    [[nodiscard]] static ThreadCache* find(HeapId heap) noexcept {
        const Entry& entry = entries_[heap % kEntries];
        return entry.heap == heap ? entry.cache : nullptr;
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
