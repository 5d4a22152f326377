// Construction and destruction of a heap, and the slow paths of small blocks: refilling and flushing the threads'
// caches, in batches, from and to spans. Large blocks are in large_blocks.cpp, dead pages in sweeping.cpp.

#include "heap/heap.hpp"

#include "core/check.hpp"
#include "pager/region/region_map.hpp"
#include "sys/error.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

namespace faultline::heap {

using heap::ClassSpans;
using heap::FreeBlock;
using heap::SizeClass;
using heap::SlowPath;
using heap::Span;
using heap::SpanKind;
using heap::StalePages;
using heap::ThreadCache;
using heap::Zeroed;

namespace {

constexpr std::size_t kLeastReservation = std::size_t{1} << 20;
constexpr std::size_t kMostReservation = std::size_t{8} << 40;
constexpr std::size_t kLeastThreshold = core::kUnitBytes;
constexpr std::size_t kMostThreads = 4096;  // threads with a cache; further threads use spans directly

const HeapOptions& checked(const HeapOptions& options) {
    if (options.reservation < kLeastReservation || options.reservation > kMostReservation) {
        sys::throw_error(EINVAL, "invalid heap: HeapOptions::reservation of " +
                                     sys::readable_bytes(options.reservation) + " is out of range: 1 MiB to 8 TiB");
    }
    if (options.large_threshold < kLeastThreshold || options.large_threshold > heap::kMostClassBytes) {
        sys::throw_error(EINVAL, "invalid heap: HeapOptions::large_threshold of " +
                                     sys::readable_bytes(options.large_threshold) + " is out of range: 4 KiB to 1 MiB");
    }
    return options;
}

std::uint64_t most_dead(const HeapOptions& options, std::size_t limit) noexcept {
    if (options.dead_bytes_kept != HeapOptions::kAutomatic) return options.dead_bytes_kept;
    return std::min<std::uint64_t>(limit / 8, std::uint64_t{64} << 20);
}

}  // namespace

Heap::Heap(std::shared_ptr<pager::Pager> pager, const HeapOptions& options)
    : pager_{std::move(pager)},
      region_{std::make_shared<pager::OwnedRegion>(pager_, checked(options).reservation, core::kUnitBytes)},
      pages_{*pager_, region_->region()},
      notes_{pages_.bytes() / 8},  // a span of the smallest blocks needs a fourteenth of its length
      most_small_{options.large_threshold},
      most_cached_{std::min(options.large_threshold, heap::kMostCachedBytes)},
      most_dead_{most_dead(options, pager_->resident_limit())},
      batches_{pager_->resident_limit() / 64},
      caches_{kMostThreads, "what threads keep of a heap"},
      resource_{*this} {
    id_ = heap::LiveHeaps::add(*this);
    region().set_owner(&pages_.life());
}

Heap::~Heap() {
    heap::LiveHeaps::remove(*this);
    heap::RecentCaches::forget(id_);
    if (region_ == nullptr) return;
    pager::Region& region = region_->region();
    if (in_owner_process()) {  // in other children of fork the readers' threads do not exist
        region.set_owner(nullptr);
        pager::RegionMap::readers().synchronize();  // an evicting thread may read the dead bits
    }
    region.users().leave(std::move(region_));
}

void Heap::drop_pages() {
    region_->destroy();
    region_.reset();
}

// ---- allocating

void* Heap::allocate_refilling(SizeClass size_class) noexcept {
    const SlowPath slow;
    ThreadCache* const cache = cache_of_this_thread();
    if (cache == nullptr) return allocate_one(size_class, Zeroed::no);
    if (cache->size(size_class) == 0) {
        std::array<FreeBlock, ThreadCache::kMost> batch{};
        const auto wanted = std::span{batch}.first(heap::batch_of(size_class));
        std::size_t taken = batches_.take(size_class, wanted);
        if (taken == 0) taken = take_blocks(size_class, wanted);
        if (taken == 0) return nullptr;
        // The lowest address on top: blocks that are allocated in sequence are adjacent.
        cache->fill(size_class, wanted.first(taken));
    }
    return cache->pop(size_class);
}

void* Heap::allocate_uncached(std::size_t bytes, std::uint64_t alignment, Zeroed zeroed) noexcept {
    if (bytes > most_small_) return allocate_large(bytes, alignment, zeroed);
    return allocate_one(heap::class_of(bytes), zeroed);
}

void* Heap::allocate_aligned(std::size_t bytes, std::size_t alignment) noexcept {
    if (bytes > most_small_ || alignment > core::kUnitBytes) return allocate_large(bytes, alignment, Zeroed::no);
    const std::size_t size_class = heap::class_of_aligned(bytes, alignment);
    if (size_class == heap::kSizeClasses) return allocate_large(bytes, alignment, Zeroed::no);
    const std::size_t block_bytes = heap::shape(static_cast<SizeClass>(size_class)).block_bytes;
    return block_bytes <= most_cached_ ? try_allocate(block_bytes)
                                       : allocate_one(static_cast<SizeClass>(size_class), Zeroed::no);
}

void* Heap::try_allocate_zeroed(std::size_t bytes) noexcept {
    // A smaller block shares its pages with others, so zeroing it touches no page in vain.
    if (bytes >= core::kUnitBytes) return allocate_uncached(bytes, 1, Zeroed::yes);
    void* const block = try_allocate(bytes);
    if (block != nullptr) std::memset(block, 0, bytes);
    return block;
}

/// Allocates one block from a span, not from the thread's cache: only there is it known which pages are still zeros.
void* Heap::allocate_one(SizeClass size_class, Zeroed zeroed) noexcept {
    const SlowPath slow;
    FreeBlock block;
    StalePages stale;
    const bool zeros = zeroed == Zeroed::yes;
    if (take_blocks(size_class, {&block, 1}, zeros ? &stale : nullptr) == 0) return nullptr;
    if (zeros) {
        const std::size_t block_bytes = heap::shape(size_class).block_bytes;
        const std::uintptr_t begin = core::address_of(block.block);
        const std::uintptr_t end = begin + block_bytes;
        std::uintptr_t at = begin;
        for (std::size_t page = 0; at < end; ++page) {
            const std::uintptr_t page_end = std::min(end, core::align_down(at, core::kUnitBytes) + core::kUnitBytes);
            if (stale.test(page)) std::memset(block.block + (at - begin), 0, page_end - at);
            at = page_end;
        }
    }
    return hand_out(block);
}

/// Takes blocks from spans of the class, and adds a span if they have none. Returns how many blocks it took.
std::size_t Heap::take_blocks(SizeClass size_class, std::span<FreeBlock> blocks, StalePages* stale) noexcept {
    if (const std::size_t taken = take_from_spans(size_class, blocks, stale, false); taken > 0) return taken;
    for (bool again = true;; again = false) {
        // Without the class's lock: this may ask the store for room, with a system call.
        Span* const span = pages_.new_span(size_class);
        if (span != nullptr) add_span(*span);
        const std::size_t taken = take_from_spans(size_class, blocks, stale, true);
        if (taken > 0 || !again) return taken;
        if (span == nullptr) make_all_free_blocks_available();
    }
}

std::size_t Heap::take_from_spans(SizeClass size_class, std::span<FreeBlock> blocks, StalePages* stale,
                                  bool last_resort) noexcept {
    ClassSpans& spans = classes_[size_class];
    const std::lock_guard lock{spans.mutex};
    std::size_t taken = 0;
    while (taken < blocks.size()) {
        Span* const span = spans.best(last_resort && taken == 0);
        if (span == nullptr) break;  // a smaller batch is enough
        taken += spans.take(*span, pages_.base(), pages_.life(), blocks.subspan(taken), stale);
    }
    return taken;
}

void Heap::add_span(Span& span) noexcept {
    const std::lock_guard lock{classes_[span.size_class].mutex};
    if (notes_.take(span)) {
        classes_[span.size_class].add(span);
    } else {
        pages_.free_span(span);
    }
}

/// Makes all free blocks and pages available, when the reservation seems used up: flushes caches and batches, frees
/// spans kept for other sizes, and waits for a running sweep, which holds pages.
void Heap::make_all_free_blocks_available() noexcept {
    if (ThreadCache* const mine = heap::RecentCaches::find(id_)) flush(*mine);
    flush_unowned_caches();
    flush_batches();
    release_kept_spans();
    const std::lock_guard done{sweeping_};
}

// ---- freeing

void Heap::deallocate_flushing(SizeClass size_class, FreeBlock block) noexcept {
    const SlowPath slow;
    ThreadCache* const cache = cache_of_this_thread();
    if (cache == nullptr) {
        block.mark->store(heap::kNotLive, std::memory_order_relaxed);
        return put_back(size_class, {&block, 1});
    }
    const std::uint32_t most = heap::shape(size_class).cached;
    if (cache->size(size_class) == most) {
        const auto oldest = cache->blocks(size_class).first(heap::batch_of(size_class));
        if (!batches_.put(size_class, oldest)) put_back(size_class, oldest);
        cache->drop_oldest(size_class, static_cast<std::uint32_t>(oldest.size()));
    }
    static_cast<void>(cache->push(size_class, block, most));
}

void Heap::deallocate_uncached(Span& span, std::uint64_t index, void* block) noexcept {
    const SlowPath slow;
    // If two threads free the block at once, the exchange lets one of them see the double free.
    if (span.marks[index].exchange(heap::kNotLive) != heap::kLive) refuse(block);
    if (span.kind == SpanKind::large) return deallocate_large(span);
    const FreeBlock freed{static_cast<std::byte*>(block), &span.marks[index]};
    put_back(span.size_class, {&freed, 1});
}

void Heap::put_back(SizeClass size_class, std::span<const FreeBlock> blocks) noexcept {
    ClassSpans& spans = classes_[size_class];
    {
        const std::lock_guard lock{spans.mutex};
        for (const FreeBlock& block : blocks) {
            const std::uint64_t offset = offset_of(block.block);
            Span& span = pages_.span_at(offset);
            if (span.kind != SpanKind::blocks || span.size_class != size_class ||
                !spans.put_back(span, static_cast<std::uint64_t>(block.mark - span.marks), pages_.life())) {
                refuse_twice(block.block);
            }
            release(spans.remove_surplus(span));
        }
    }
    sweep_if_due();
}

/// Frees the pages of a span that was removed from its class; null does nothing. The caller holds the class's lock.
void Heap::release(Span* span) noexcept {
    if (span == nullptr) return;
    notes_.give(*span);
    pages_.free_span(*span);
}

// ---- caches of threads

ThreadCache* Heap::cache_of_this_thread() noexcept {
    if (ThreadCache* const recent = heap::RecentCaches::find(id_)) return recent;
    const void* const self = heap::RecentCaches::this_thread();
    ThreadCache* mine = nullptr;
    bool is_new = false;
    {
        const std::lock_guard lock{caches_mutex_};
        ThreadCache* free = nullptr;
        for (ThreadCache& cache : caches_.span().first(caches_used_)) {
            const void* const owner = cache.owner.load(std::memory_order_relaxed);
            if (owner == self) mine = &cache;
            if (owner == nullptr) free = &cache;
        }
        if (mine == nullptr) {
            is_new = true;
            if (free == nullptr && caches_used_ < caches_.size()) free = &caches_[caches_used_++];
            if (free == nullptr) return nullptr;
            free->owner.store(self, std::memory_order_relaxed);
            free->repair_after_fork();
            mine = free;
        }
    }
    if (is_new) heap::LiveHeaps::notify_when_this_thread_ends();
    heap::RecentCaches::remember(id_, mine);
    return mine;
}

void Heap::flush(ThreadCache& cache) noexcept {
    for (SizeClass i = 0; i < heap::kCachedClasses; ++i) {
        if (cache.size(i) == 0) continue;
        put_back(i, cache.blocks(i));
        cache.drop_oldest(i, cache.size(i));
    }
}

/// Empties the caches without an owner: in a child of fork, the caches of the parent's other threads.
void Heap::flush_unowned_caches() noexcept {
    const std::lock_guard lock{caches_mutex_};
    for (ThreadCache& cache : caches_.span().first(caches_used_)) {
        if (cache.owner.load(std::memory_order_relaxed) != nullptr) continue;
        cache.repair_after_fork();
        flush(cache);
    }
}

void Heap::flush_batches() noexcept {
    std::array<FreeBlock, ThreadCache::kMost> batch{};
    for (SizeClass i = 0; i < heap::kCachedClasses; ++i) {
        while (const std::size_t taken = batches_.take(i, batch)) put_back(i, std::span{batch}.first(taken));
    }
}

void Heap::thread_ends(const void* thread) noexcept {
    const SlowPath slow;
    heap::RecentCaches::forget(id_);
    ThreadCache* mine = nullptr;
    {
        const std::lock_guard lock{caches_mutex_};
        for (ThreadCache& cache : caches_.span().first(caches_used_)) {
            if (cache.owner.load(std::memory_order_relaxed) == thread) mine = &cache;
        }
    }
    if (mine == nullptr || !in_owner_process()) return;
    flush(*mine);
    const std::lock_guard lock{caches_mutex_};
    mine->owner.store(nullptr, std::memory_order_relaxed);
}

/// Disowns the caches of the parent's other threads. The next threads take them over, or they are flushed when memory
/// is needed. They are not flushed now, because most children run another program.
void Heap::start_in_child(const void* thread) noexcept {
    for (ThreadCache& cache : caches_.span().first(caches_used_)) {
        if (cache.owner.load(std::memory_order_relaxed) != thread)
            cache.owner.store(nullptr, std::memory_order_relaxed);
    }
}

}  // namespace faultline::heap
