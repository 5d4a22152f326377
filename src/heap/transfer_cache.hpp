// TransferCache: batches of free blocks on their way from threads that free to threads of the shard that owns the
// blocks' spans, so that neither has to lock a span (tcmalloc's transfer cache; Bonwick's depot). It holds little: a
// block that no thread asks for belongs in its span, where its pages can become dead. Used by SmallBlocks.
#pragma once

#include "heap/size_classes.hpp"
#include "heap/span.hpp"
#include "sys/futex_lock.hpp"
#include "sys/lazy_array.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>

namespace faultline::heap {

/// Returns how many blocks move at once between a thread's cache and the rest of the heap.
constexpr std::size_t batch_of(SizeClass size_class) noexcept { return shape(size_class).cached / 2; }

/// Safe to use from any thread that is inside a NoForkSection.
class TransferCache {
public:
    /// `most_bytes`: the most bytes to hold, over all classes.
    explicit TransferCache(std::uint64_t most_bytes)
        : classes_{kShards * kCachedClasses, "the transfer cache of a heap"}, most_bytes_{most_bytes} {}

    /// Stores a batch of blocks that the shard owns. Returns false, and stores nothing, if the class or the whole holds
    /// enough already.
    [[nodiscard]] bool put(Shard shard, SizeClass size_class, std::span<const FreeBlock> batch) noexcept {
        OfClass& all = of(shard, size_class);
        const std::uint64_t bytes = batch.size() * shape(size_class).block_bytes;
        if (bytes_.load(std::memory_order_relaxed) + bytes > most_bytes_) return false;
        const std::lock_guard lock{all.mutex};
        const std::uint32_t had = all.count.load(std::memory_order_relaxed);
        if (had + batch.size() > kMost * batch_of(size_class)) return false;
        if (!was_used_[index(shard, size_class)].load(std::memory_order_relaxed)) {
            was_used_[index(shard, size_class)].store(true, std::memory_order_relaxed);
        }
        std::copy(batch.begin(), batch.end(), all.blocks.begin() + had);
        all.count.store(had + static_cast<std::uint32_t>(batch.size()), std::memory_order_relaxed);
        bytes_.fetch_add(bytes, std::memory_order_relaxed);
        return true;
    }

    /// Takes up to `batch.size()` blocks, the last stored first. Returns how many it took.
    [[nodiscard]] std::size_t take(Shard shard, SizeClass size_class, std::span<FreeBlock> batch) noexcept {
        OfClass& all = of(shard, size_class);
        if (all.count.load(std::memory_order_relaxed) == 0) return 0;
        const std::lock_guard lock{all.mutex};
        const std::uint32_t had = all.count.load(std::memory_order_relaxed);
        const auto taken = std::min(had, static_cast<std::uint32_t>(batch.size()));
        const auto begin = all.blocks.begin() + (had - taken);
        std::copy(begin, begin + taken, batch.begin());
        all.count.store(had - taken, std::memory_order_relaxed);
        bytes_.fetch_sub(std::uint64_t{taken} * shape(size_class).block_bytes, std::memory_order_relaxed);
        return taken;
    }

    /// Returns how many blocks of the class are stored, of all shards.
    [[nodiscard]] std::uint64_t size(SizeClass size_class) const noexcept {
        std::uint64_t sum = 0;
        for (Shard shard = 0; shard < kShards; ++shard) {
            if (!was_used_[index(shard, size_class)].load(std::memory_order_relaxed)) continue;
            sum += of(shard, size_class).count.load(std::memory_order_relaxed);
        }
        return sum;
    }

private:
    static constexpr std::size_t kMost = 8;  // batches per class of a shard
    struct alignas(64) OfClass {
        sys::FutexLock mutex;
        std::atomic<std::uint32_t> count{0};
        std::array<FreeBlock, kMost * kMostBlocksCached / 2> blocks{};
    };

    [[nodiscard]] static std::size_t index(Shard shard, SizeClass size_class) noexcept {
        return shard * kCachedClasses + size_class;
    }
    [[nodiscard]] OfClass& of(Shard shard, SizeClass size_class) const noexcept {
        return classes_[index(shard, size_class)];
    }

    sys::LazyArray<OfClass> classes_;
    // size() skips classes without a batch so far: to read their counts would map a page for each.
    std::array<std::atomic<bool>, kShards * kCachedClasses> was_used_{};
    std::uint64_t most_bytes_;
    alignas(64) std::atomic<std::uint64_t> bytes_{0};
};

}  // namespace faultline::heap
