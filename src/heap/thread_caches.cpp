#include "heap/thread_caches.hpp"

namespace faultline::heap {

namespace {

constexpr std::size_t kMostThreads = 4096;  // threads with a cache; further threads use spans directly

}  // namespace

ThreadCaches::ThreadCaches() : id_{HeapRegistry::new_id()}, caches_{kMostThreads, "the thread caches of a heap"} {}

ThreadCaches::~ThreadCaches() { RecentCaches::forget(id_); }

ThreadCache* ThreadCaches::of_this_thread() noexcept {
    if (ThreadCache* const cache = recent()) return cache;
    bool is_new = false;
    ThreadCache* const mine = assign(RecentCaches::this_thread(), is_new);
    if (mine == nullptr) return nullptr;
    if (is_new) HeapRegistry::notify_when_this_thread_ends();
    RecentCaches::remember(id_, mine);
    return mine;
}

/// Finds the cache of `thread`, or makes it the owner of a free one.
ThreadCache* ThreadCaches::assign(const void* thread, bool& is_new) noexcept {
    const std::lock_guard lock{mutex_};
    ThreadCache* free = nullptr;
    for (ThreadCache& cache : used()) {
        const void* const owner = cache.owner.load(std::memory_order_relaxed);
        if (owner == thread) return &cache;
        if (owner == nullptr) free = &cache;
    }
    if (free == nullptr && used_ < caches_.size()) free = &caches_[used_++];
    if (free == nullptr) return nullptr;
    is_new = true;
    free->shard = threads_.emptiest();
    threads_.add(free->shard);
    free->owner.store(thread, std::memory_order_relaxed);
    free->repair_after_fork();
    return free;
}

ThreadCache* ThreadCaches::of_ending_thread(const void* thread) noexcept {
    RecentCaches::forget(id_);
    const std::lock_guard lock{mutex_};
    for (ThreadCache& cache : used()) {
        if (cache.owner.load(std::memory_order_relaxed) == thread) return &cache;
    }
    return nullptr;
}

void ThreadCaches::disown(ThreadCache& cache) noexcept {
    const std::lock_guard lock{mutex_};
    remove_owner(cache);
}

void ThreadCaches::remove_owner(ThreadCache& cache) noexcept {
    if (cache.owner.exchange(nullptr, std::memory_order_relaxed) != nullptr) threads_.remove(cache.shard);
}

void ThreadCaches::disown_all_but(const void* thread) noexcept {
    for (ThreadCache& cache : used()) {
        if (cache.owner.load(std::memory_order_relaxed) != thread) remove_owner(cache);
    }
}

void ThreadCaches::add_counts(CachedCounts& counts) noexcept {
    const std::lock_guard lock{mutex_};
    for (const ThreadCache& cache : used()) {
        for (std::size_t i = 0; i < counts.size(); ++i) counts[i] += cache.size(static_cast<SizeClass>(i));
    }
}

}  // namespace faultline::heap
