// Batches: free blocks on their way from threads that free to threads that allocate, in whole batches, so that neither
// has to look at a span (Bonwick's depot; tcmalloc's transfer cache). Little is kept here: what nobody asks for belongs
// in its span, where its pages can die.
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

/// How many blocks go between a thread and the rest of the heap at once.
constexpr std::size_t batch_of(SizeClass size_class) noexcept { return shape(size_class).cached / 2; }

/// Safe to use from any thread, in a SlowPath.
class Batches {
public:
    /// Keeps at most `most_bytes`.
    explicit Batches(std::uint64_t most_bytes)
        : classes_{kCachedClasses, "free blocks between threads of a heap"}, most_bytes_{most_bytes} {}

    /// Takes over a batch. False: there is enough already.
    [[nodiscard]] bool put(SizeClass size_class, std::span<const FreeBlock> batch) noexcept {
        OfClass& all = classes_[size_class];
        const std::uint64_t bytes = batch.size() * shape(size_class).block_bytes;
        if (bytes_.load(std::memory_order_relaxed) + bytes > most_bytes_) return false;
        const std::lock_guard lock{all.mutex};
        const std::uint32_t had = all.count.load(std::memory_order_relaxed);
        if (had + batch.size() > kMost * batch_of(size_class)) return false;
        std::copy(batch.begin(), batch.end(), all.blocks.begin() + had);
        all.count.store(had + static_cast<std::uint32_t>(batch.size()), std::memory_order_relaxed);
        bytes_.fetch_add(bytes, std::memory_order_relaxed);
        return true;
    }

    /// The batch that came last; returns how many blocks that is, or 0.
    [[nodiscard]] std::size_t take(SizeClass size_class, std::span<FreeBlock> batch) noexcept {
        OfClass& all = classes_[size_class];
        if (size(size_class) == 0) return 0;
        const std::lock_guard lock{all.mutex};
        const std::uint32_t had = all.count.load(std::memory_order_relaxed);
        const auto taken = std::min(had, static_cast<std::uint32_t>(batch.size()));
        const auto begin = all.blocks.begin() + (had - taken);
        std::copy(begin, begin + taken, batch.begin());
        all.count.store(had - taken, std::memory_order_relaxed);
        bytes_.fetch_sub(std::uint64_t{taken} * shape(size_class).block_bytes, std::memory_order_relaxed);
        return taken;
    }

    /// Blocks of a class that are here.
    [[nodiscard]] std::uint32_t size(SizeClass size_class) const noexcept {
        return classes_[size_class].count.load(std::memory_order_relaxed);
    }

private:
    static constexpr std::size_t kMost = 8;  // batches of a class
    struct alignas(64) OfClass {
        sys::FutexLock mutex;
        std::atomic<std::uint32_t> count{0};
        std::array<FreeBlock, kMost * kMostBlocksCached / 2> blocks{};
    };

    sys::LazyArray<OfClass> classes_;
    std::uint64_t most_bytes_;
    alignas(64) std::atomic<std::uint64_t> bytes_{0};
};

}  // namespace faultline::heap
