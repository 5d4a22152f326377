// ThreadCaches: the ThreadCache of each thread that uses a heap: which thread owns which cache, and what becomes of the
// caches of threads that end or that fork does not copy. It moves no blocks. Used by SmallBlocks.
#pragma once

#include "heap/heap_registry.hpp"
#include "heap/thread_cache.hpp"
#include "sys/lazy_array.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>

namespace faultline::heap {

/// How many blocks of each class are cached.
using CachedCounts = std::array<std::uint64_t, kCachedClasses>;

/// All functions but `last` and `recent` are called inside a NoForkSection, or in a child of fork before it runs on.
class ThreadCaches {
public:
    ThreadCaches();
    ~ThreadCaches();
    ThreadCaches(const ThreadCaches&) = delete;
    ThreadCaches& operator=(const ThreadCaches&) = delete;

    /// Returns the calling thread's cache if it is the one that the thread used last; else null. No lock.
    [[nodiscard, gnu::always_inline]] ThreadCache* last() const noexcept { return RecentCaches::find_last(id_); }
    /// Returns the calling thread's cache if the thread has used this heap recently; else null. No lock.
    [[nodiscard]] ThreadCache* recent() const noexcept { return RecentCaches::find(id_); }

    /// Returns the calling thread's cache. Assigns one to the thread if necessary, and asks HeapRegistry to report the
    /// thread's end. Returns null if too many threads have caches.
    [[nodiscard]] ThreadCache* of_this_thread() noexcept;

    /// Returns the cache of `thread`, which is ending and is the caller; null if it has none.
    [[nodiscard]] ThreadCache* of_ending_thread(const void* thread) noexcept;
    /// Makes an empty cache available to other threads.
    void disown(ThreadCache& cache) noexcept;
    /// In a child of fork, whose only thread is `thread`: disowns the caches of the parent's other threads.
    void disown_all_but(const void* thread) noexcept;

    /// Calls `flush(cache)` for each cache without an owner: in a child of fork, those of the parent's other threads.
    template <typename Flush>
    void for_each_unowned(Flush flush) noexcept {
        const std::lock_guard lock{mutex_};
        for (ThreadCache& cache : used()) {
            if (cache.owner.load(std::memory_order_relaxed) != nullptr) continue;
            cache.repair_after_fork();
            flush(cache);
        }
    }

    /// True if a living thread belongs to the shard. No lock: the answer may be old.
    [[nodiscard]] bool has_threads(Shard shard) const noexcept { return threads_.count(shard) > 0; }

    /// Adds the cached blocks of all threads to `counts`.
    void add_counts(CachedCounts& counts) noexcept;

private:
    [[nodiscard]] std::span<ThreadCache> used() noexcept { return caches_.span().first(used_); }
    [[nodiscard]] ThreadCache* assign(const void* thread, bool& is_new) noexcept;
    void remove_owner(ThreadCache& cache) noexcept;

    HeapId id_;
    sys::LazyArray<ThreadCache> caches_;
    std::mutex mutex_;  // guards what follows, and the caches' owners and shards
    std::size_t used_ = 0;
    ShardThreads threads_;
};

}  // namespace faultline::heap
