// The C functions for heaps. Those that allocate do not use `guarded`, because nothing in them throws.

#include "api/c/figures.hpp"
#include "api/c/handles.hpp"
#include "api/c/sized_struct.hpp"
#include "api/c/words.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstddef>

using namespace faultline::api;

namespace {

void* with_errno(void* block) noexcept {
    if (block == nullptr) [[unlikely]]
        errno = ENOMEM;
    return block;
}

void* refused(int error) noexcept {
    errno = error;
    return nullptr;
}

}  // namespace

faultline_heap* faultline_heap_create(faultline_pager* pager, const faultline_heap_config* config) {
    return guarded<faultline_heap*>(nullptr, [&] {
        const auto given = read_sized(config, FAULTLINE_FIRST_BYTES(faultline_heap_config, dead_bytes_kept));
        faultline::HeapConfig wanted;
        if (given.reservation != 0) wanted.reservation = given.reservation;
        if (given.large_threshold != 0) wanted.large_threshold = given.large_threshold;
        if (given.dead_bytes_kept == FAULTLINE_KEEP_NONE) {
            wanted.dead_bytes_kept = 0;
        } else if (given.dead_bytes_kept != 0) {
            wanted.dead_bytes_kept = given.dead_bytes_kept;
        }
        return new faultline_heap{faultline::Heap{checked(pager), wanted}};
    });
}

int faultline_heap_destroy(faultline_heap* heap) { return destroy_if_possible(heap); }

void* faultline_heap_malloc(faultline_heap* heap, size_t bytes) {
    if (heap == nullptr) [[unlikely]]
        return refused(EINVAL);
    return with_errno(heap->cpp.try_allocate(bytes));
}

void* faultline_heap_calloc(faultline_heap* heap, size_t count, size_t bytes) {
    if (heap == nullptr) [[unlikely]]
        return refused(EINVAL);
    return with_errno(heap->cpp.try_allocate_zeroed(count, bytes));
}

void* faultline_heap_realloc(faultline_heap* heap, void* block, size_t bytes) {
    if (heap == nullptr) [[unlikely]]
        return refused(EINVAL);
    return with_errno(heap->cpp.try_reallocate(block, bytes));
}

void* faultline_heap_aligned_alloc(faultline_heap* heap, size_t alignment, size_t bytes) {
    if (heap == nullptr || !std::has_single_bit(alignment) || alignment > faultline::kLargestPageBytes) [[unlikely]]
        return refused(EINVAL);
    return with_errno(heap->cpp.try_allocate(bytes, alignment));
}

void faultline_heap_free(faultline_heap* heap, void* block) {
    if (heap == nullptr || block == nullptr) return;
    const int error = errno;
    heap->cpp.deallocate(block);
    errno = error;
}

size_t faultline_heap_usable_size(const faultline_heap* heap, const void* block) {
    return heap != nullptr && block != nullptr ? heap->cpp.usable_size(block) : 0;
}

int faultline_heap_owns(const faultline_heap* heap, const void* address) {
    return heap != nullptr && heap->cpp.owns(address) ? 1 : 0;
}

size_t faultline_heap_trim(faultline_heap* heap) { return heap != nullptr ? heap->cpp.trim() : 0; }

faultline_pin* faultline_heap_pin(faultline_heap* heap, const void* address, size_t bytes, int purpose) {
    return guarded<faultline_pin*>(
        nullptr, [&] { return new faultline_pin{checked(heap).pin(address, bytes, pin_purpose_of(purpose))}; });
}

int faultline_heap_advise(faultline_heap* heap, const void* address, size_t bytes, int advice) {
    return done_or_refused([&] { checked(heap).advise(address, bytes, advice_of(advice)); });
}

int faultline_heap_get_stats(const faultline_heap* heap, faultline_heap_stats* own, faultline_stats* paging) {
    return done_or_refused([&] {
        const faultline::HeapStats stats = checked(heap).stats();
        if (own != nullptr) write_stats(*own, stats);
        if (paging != nullptr) write_stats(*paging, stats.paging);
    });
}

ptrdiff_t faultline_heap_get_size_classes(const faultline_heap* heap, faultline_size_class* classes, size_t capacity) {
    return guarded<ptrdiff_t>(-1, [&] {
        const faultline::HeapStats stats = checked(heap).stats();
        if (classes == nullptr && capacity > 0) refuse_null("array of size classes");
        const size_t count = std::min(capacity, stats.by_class.size());
        std::transform(stats.by_class.begin(), stats.by_class.begin() + static_cast<std::ptrdiff_t>(count), classes,
                       [](const faultline::SizeClassStats& one) {
                           return faultline_size_class{one.block_bytes, one.spans, one.live_blocks, one.cached_blocks,
                                                       one.free_blocks};
                       });
        return static_cast<std::ptrdiff_t>(stats.by_class.size());
    });
}
