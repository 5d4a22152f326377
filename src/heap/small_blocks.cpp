#include "heap/small_blocks.hpp"

#include "heap/no_fork_section.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace faultline::heap {

namespace {

/// Zeroes the stale pages of a block.
void zero_stale(std::byte* block, std::size_t bytes, const StalePages& stale) noexcept {
    const std::uintptr_t begin = core::address_of(block);
    const std::uintptr_t end = begin + bytes;
    std::uintptr_t at = begin;
    for (std::size_t page = 0; at < end; ++page) {
        const std::uintptr_t page_end = std::min(end, core::align_down(at, core::kUnitBytes) + core::kUnitBytes);
        if (stale.test(page)) std::memset(block + (at - begin), 0, page_end - at);
        at = page_end;
    }
}

}  // namespace

SmallBlocks::SmallBlocks(HeapPages& pages, CentralSpans& central, PageSweeper& sweeper,
                         std::uint64_t max_transfer_bytes)
    : pages_{pages}, central_{central}, sweeper_{sweeper}, transfer_{max_transfer_bytes} {
    HeapRegistry::add(*this);
}

SmallBlocks::~SmallBlocks() { HeapRegistry::remove(*this); }

// ---- allocating

void* SmallBlocks::allocate(SizeClass size_class) noexcept {
    if (ThreadCache* const cache = caches_.recent()) {
        if (void* const block = cache->pop(size_class)) return block;
    }
    const NoForkSection section;
    ThreadCache* const cache = caches_.of_this_thread();
    if (cache == nullptr) return allocate_uncached(size_class, Zeroed::no);
    if (cache->size(size_class) == 0) {
        std::array<FreeBlock, ThreadCache::kMost> batch{};
        const auto wanted = std::span{batch}.first(batch_of(size_class));
        std::size_t taken = transfer_.take(cache->shard, size_class, wanted);
        if (taken == 0) taken = take(cache->shard, size_class, wanted);
        if (taken == 0) return nullptr;
        // The lowest address on top: blocks that are allocated in sequence are adjacent.
        cache->fill(size_class, wanted.first(taken));
    }
    return cache->pop(size_class);
}

void* SmallBlocks::allocate_uncached(SizeClass size_class, Zeroed zeroed) noexcept {
    const NoForkSection section;
    FreeBlock block;
    StalePages stale;
    const bool zeros = zeroed == Zeroed::yes;
    const ThreadCache* const cache = caches_.of_this_thread();
    const Shard shard = cache == nullptr ? Shard{0} : cache->shard;
    if (take(shard, size_class, {&block, 1}, zeros ? &stale : nullptr) == 0) return nullptr;
    if (zeros) zero_stale(block.block, shape(size_class).block_bytes, stale);
    block.mark->store(kLive, std::memory_order_relaxed);
    return block.block;
}

/// Takes blocks from spans of the shard and class, and adds a span if they have none. Returns how many blocks it took.
std::size_t SmallBlocks::take(Shard shard, SizeClass size_class, std::span<FreeBlock> blocks,
                              StalePages* stale) noexcept {
    if (const std::size_t taken = central_.take(shard, size_class, blocks, stale); taken > 0) return taken;
    if (const std::size_t taken = take_abandoned(shard, size_class, blocks, stale); taken > 0) return taken;
    CentralSpans::Taken taken = central_.take_adding_span(shard, size_class, blocks, stale);
    if (taken.blocks > 0) return taken.blocks;
    if (!taken.room_for_span) make_all_free_blocks_available();
    return central_.take_adding_span(shard, size_class, blocks, stale).blocks;
}

/// Takes blocks that belong to a shard without a living thread. Returns how many it took.
std::size_t SmallBlocks::take_abandoned(Shard shard, SizeClass size_class, std::span<FreeBlock> blocks,
                                        StalePages* stale) noexcept {
    for (Shard other = 0; other < kShards; ++other) {
        if (other == shard || caches_.has_threads(other)) continue;
        if (stale == nullptr && size_class < kCachedClasses) {
            if (const std::size_t taken = transfer_.take(other, size_class, blocks); taken > 0) return taken;
        }
        if (central_.adopt(size_class, other, shard)) return central_.take(shard, size_class, blocks, stale);
    }
    return 0;
}

void SmallBlocks::make_all_free_blocks_available() noexcept {
    release_unused();
    sweeper_.wait_for_sweep();
}

// ---- freeing

void SmallBlocks::deallocate(SizeClass size_class, FreeBlock block) noexcept {
    const std::uint32_t most = shape(size_class).cached;
    if (ThreadCache* const cache = caches_.recent(); cache != nullptr && cache->push(size_class, block, most)) return;
    const NoForkSection section;
    ThreadCache* const cache = caches_.of_this_thread();
    if (cache == nullptr) {
        block.mark->store(kNotLive, std::memory_order_relaxed);
        return put_back(size_class, {&block, 1});
    }
    if (cache->size(size_class) == most) {
        const auto oldest = cache->blocks(size_class).first(batch_of(size_class));
        hand_back(size_class, oldest);
        cache->drop_oldest(size_class, static_cast<std::uint32_t>(oldest.size()));
    }
    static_cast<void>(cache->push(size_class, block, most));
}

/// Gives each block to the shard that owns its span.
void SmallBlocks::hand_back(SizeClass size_class, std::span<const FreeBlock> blocks) noexcept {
    std::array<FreeBlock, ThreadCache::kMost> copy{};
    std::copy(blocks.begin(), blocks.end(), copy.begin());
    for (std::span<FreeBlock> rest = std::span{copy}.first(blocks.size()); !rest.empty();) {
        const Shard shard = central_.shard_of(rest.front());
        const auto others = std::partition(rest.begin(), rest.end(),
                                           [&](const FreeBlock& block) { return central_.shard_of(block) == shard; });
        const auto batch = rest.first(static_cast<std::size_t>(others - rest.begin()));
        if (!transfer_.put(shard, size_class, batch)) put_back(size_class, batch);
        rest = rest.subspan(batch.size());
    }
}

void SmallBlocks::put_back(SizeClass size_class, std::span<const FreeBlock> blocks) noexcept {
    central_.put_back(size_class, blocks);
    sweeper_.sweep_if_due();
}

void SmallBlocks::release_unused() noexcept {
    if (ThreadCache* const mine = caches_.recent()) flush(*mine);
    caches_.for_each_unowned([this](ThreadCache& cache) { flush(cache); });
    flush_transfer_cache();
    central_.free_unused_spans();
}

void SmallBlocks::flush(ThreadCache& cache) noexcept {
    for (SizeClass i = 0; i < kCachedClasses; ++i) {
        if (cache.size(i) == 0) continue;
        put_back(i, cache.blocks(i));
        cache.drop_oldest(i, cache.size(i));
    }
}

void SmallBlocks::flush_transfer_cache() noexcept {
    std::array<FreeBlock, ThreadCache::kMost> batch{};
    for (Shard shard = 0; shard < kShards; ++shard) {
        for (SizeClass i = 0; i < kCachedClasses; ++i) {
            while (const std::size_t taken = transfer_.take(shard, i, batch)) {
                put_back(i, std::span{batch}.first(taken));
            }
        }
    }
}

CachedCounts SmallBlocks::cached_counts() noexcept {
    CachedCounts counts{};
    caches_.add_counts(counts);
    for (std::size_t i = 0; i < counts.size(); ++i) counts[i] += transfer_.size(static_cast<SizeClass>(i));
    return counts;
}

// ---- threads that end, and fork

void SmallBlocks::thread_ends(const void* thread) noexcept {
    const NoForkSection section;
    ThreadCache* const mine = caches_.of_ending_thread(thread);
    if (mine == nullptr || !pages_.in_owner_process()) return;
    flush(*mine);
    caches_.disown(*mine);
}

/// Does not flush the disowned caches: most children run another program. The next threads take them over, or
/// release_unused flushes them.
void SmallBlocks::start_in_child(const void* thread) noexcept { caches_.disown_all_but(thread); }

}  // namespace faultline::heap
