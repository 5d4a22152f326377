// The malloc family. A new block comes from the managed heap or from the C library, depending on the caller
// (ManagedHeap::serves). Other calls go to the allocator of the block. Guarantees are glibc's: malloc(0) returns a
// block, realloc to 0 bytes frees.

#include "preload/malloc.hpp"

#include "preload/managed_heap.hpp"
#include "preload/managed_memory.hpp"
#include "preload/next.hpp"
#include "preload/unmanaged.hpp"

#include <malloc.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdint>
#include <cstring>

namespace faultline::preload {
namespace {

constexpr std::size_t kMostAlignment = kLargestPageBytes;

Next<int(std::size_t)> next_trim{"malloc_trim"};

void* or_out_of_memory(void* block) noexcept {
    if (block == nullptr) errno = ENOMEM;
    return block;
}

void* allocate_zeroed(std::size_t count, std::size_t bytes, const void* caller) noexcept {
    if (!ManagedHeap::serves(caller)) return unmanaged::allocate_zeroed(count, bytes);
    std::size_t product = 0;
    if (__builtin_mul_overflow(count, bytes, &product) || product > PTRDIFF_MAX) return or_out_of_memory(nullptr);
    const InLibrary inside;
    return or_out_of_memory(ManagedHeap::get()->try_allocate_zeroed(product));
}

std::size_t usable_size(const heap::Heap& heap, void* block) noexcept {
    const InLibrary inside;
    return heap.usable_size(block);
}

/// Moves a block of `had` bytes to a new one, because the program resizes it.
void* move_block(void* block, std::size_t had, std::size_t bytes, const void* caller) noexcept {
    void* const moved = allocate(bytes, caller);
    if (moved == nullptr) return nullptr;
    std::memcpy(moved, block, std::min(had, bytes));
    release(block);
    return moved;
}

void* reallocate(void* block, std::size_t bytes, const void* caller) noexcept {
    if (block == nullptr) return allocate(bytes, caller);
    if (bytes == 0) {
        release(block);
        return nullptr;
    }
    if (ManagedHeap::owns(block)) {
        if (bytes > PTRDIFF_MAX) return or_out_of_memory(nullptr);
        const InLibrary inside;
        return or_out_of_memory(ManagedHeap::get()->try_reallocate(block, bytes));
    }
    if (const heap::Heap* const retired = ManagedHeap::retired_owner(block)) {
        return move_block(block, usable_size(*retired, block), bytes, caller);
    }
    // A block that the C library has allocated, in asprintf for example, moves to the heap.
    return ManagedHeap::serves(caller) ? move_block(block, unmanaged::usable_size(block), bytes, caller)
                                       : unmanaged::reallocate(block, bytes);
}

/// Accepts any alignment, as memalign does, and uses the next power of two.
void* allocate_aligned_somehow(std::size_t alignment, std::size_t bytes, const void* caller) noexcept {
    if (alignment > PTRDIFF_MAX) {
        errno = EINVAL;
        return nullptr;
    }
    return allocate_aligned(std::bit_ceil(alignment), bytes, caller);
}

HeapStats heap_stats() {
    const InLibrary inside;
    return ManagedHeap::get()->stats();
}

template <typename Info>
Info info() {
    Info info{};
    if (ManagedHeap::get() == nullptr) return info;
    using Figure = decltype(info.arena);
    const HeapStats stats = heap_stats();
    info.arena = static_cast<Figure>(stats.break_bytes);
    info.ordblks = 1;
    info.hblks = static_cast<Figure>(stats.large_blocks);
    info.hblkhd = static_cast<Figure>(stats.large_bytes);
    info.uordblks = static_cast<Figure>(stats.live_bytes - std::min(stats.live_bytes, stats.large_bytes));
    info.fordblks = static_cast<Figure>(stats.cached_bytes + stats.free_in_spans + stats.free_outside_spans);
    info.keepcost = static_cast<Figure>(stats.dead_bytes);
    return info;
}

}  // namespace

void* allocate(std::size_t bytes, const void* caller) noexcept {
    if (!ManagedHeap::serves(caller)) [[unlikely]]
        return unmanaged::allocate(bytes);
    if (bytes > PTRDIFF_MAX) [[unlikely]]
        return or_out_of_memory(nullptr);
    const InLibrary inside;
    return or_out_of_memory(ManagedHeap::get()->try_allocate(bytes));
}

void* allocate_aligned(std::size_t alignment, std::size_t bytes, const void* caller) noexcept {
    // The heap does not support larger alignments, and programs keep little data in such blocks.
    if (!ManagedHeap::serves(caller) || alignment > kMostAlignment)
        return unmanaged::allocate_aligned(alignment, bytes);
    if (bytes > PTRDIFF_MAX) return or_out_of_memory(nullptr);
    const InLibrary inside;
    return or_out_of_memory(ManagedHeap::get()->try_allocate(bytes, alignment));
}

void release(void* block) noexcept {
    if (!ManagedHeap::owns(block)) {  // or null
        if (ManagedHeap::retired_owner(block) == nullptr) unmanaged::release(block);
        return;
    }
    const int error = errno;
    {
        const InLibrary inside;
        if (RegionMemory& memory = *ManagedMemory::heap(); memory.in_use()) [[unlikely]]
            memory.forget(block, ManagedHeap::get()->usable_size(block));
        ManagedHeap::get()->deallocate(block);
    }
    errno = error;
}

}  // namespace faultline::preload

using namespace faultline::preload;

#define CALLER __builtin_return_address(0)

// NOLINTBEGIN: the C library's names and signatures
extern "C" {

void* malloc(std::size_t bytes) noexcept { return allocate(bytes, CALLER); }
void* calloc(std::size_t count, std::size_t bytes) noexcept { return allocate_zeroed(count, bytes, CALLER); }
void* realloc(void* block, std::size_t bytes) noexcept { return reallocate(block, bytes, CALLER); }
void free(void* block) noexcept { release(block); }

void* reallocarray(void* block, std::size_t count, std::size_t bytes) noexcept {
    std::size_t product = 0;
    if (__builtin_mul_overflow(count, bytes, &product)) return or_out_of_memory(nullptr);
    return reallocate(block, product, CALLER);
}

int posix_memalign(void** block, std::size_t alignment, std::size_t bytes) noexcept {
    if (!std::has_single_bit(alignment) || alignment % sizeof(void*) != 0) return EINVAL;
    void* const made = allocate_aligned(alignment, bytes, CALLER);
    if (made == nullptr) return ENOMEM;
    *block = made;
    return 0;
}

void* aligned_alloc(std::size_t alignment, std::size_t bytes) noexcept {
    return allocate_aligned_somehow(alignment, bytes, CALLER);
}
void* memalign(std::size_t alignment, std::size_t bytes) noexcept {
    return allocate_aligned_somehow(alignment, bytes, CALLER);
}
void* valloc(std::size_t bytes) noexcept { return allocate_aligned(faultline::kBasePageBytes, bytes, CALLER); }
void* pvalloc(std::size_t bytes) noexcept {
    if (bytes > PTRDIFF_MAX) return or_out_of_memory(nullptr);
    const std::size_t pages =
        std::max<std::size_t>((bytes + faultline::kBasePageBytes - 1) / faultline::kBasePageBytes, 1);
    return allocate_aligned(faultline::kBasePageBytes, pages * faultline::kBasePageBytes, CALLER);
}

// C23. The heap does not need the sizes.
void free_sized(void* block, std::size_t) noexcept { release(block); }
void free_aligned_sized(void* block, std::size_t, std::size_t) noexcept { release(block); }

std::size_t malloc_usable_size(void* block) noexcept {
    if (block == nullptr) return 0;
    if (const faultline::heap::Heap* const retired = ManagedHeap::retired_owner(block))
        return usable_size(*retired, block);
    return ManagedHeap::owns(block) ? usable_size(*ManagedHeap::get(), block) : unmanaged::usable_size(block);
}

int malloc_trim(std::size_t keep) noexcept {
    const int rest = next_trim(keep);
    if (ManagedHeap::get() == nullptr) return rest;
    const InLibrary inside;
    return ManagedHeap::get()->trim() > 0 ? 1 : rest;
}

struct mallinfo mallinfo() noexcept {
    return info<struct mallinfo>();
}
struct mallinfo2 mallinfo2() noexcept {
    return info<struct mallinfo2>();
}

/// Accepts and ignores every parameter: none applies to the heap.
int mallopt(int, int) noexcept { return 1; }

}  // extern "C"
// NOLINTEND
