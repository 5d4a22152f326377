// Functions that jemalloc, tcmalloc and mimalloc offer besides the malloc family.
// A program that is linked with such an allocator still calls the preload's malloc, and then passes these functions
// blocks that their allocator does not know. The functions here handle blocks of the managed heap. They pass other
// blocks to the allocator's own function, or to free and its relatives if the program has no such allocator.

#include "preload/malloc.hpp"
#include "preload/managed_heap.hpp"
#include "preload/next.hpp"

#include <malloc.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

using namespace faultline::preload;

namespace {

// jemalloc's flags: the low bits are log2 of the alignment, then a bit that asks for a zeroed block, then the arena.
constexpr int kAlignmentFlags = 0x3f;
constexpr int kZero = 0x40;
constexpr int kArenaFlags = ~0xff;

Next<void*(std::size_t, int)> next_mallocx{"mallocx"};
Next<void*(void*, std::size_t, int)> next_rallocx{"rallocx"};
Next<std::size_t(void*, std::size_t, std::size_t, int)> next_xallocx{"xallocx"};
Next<std::size_t(const void*, int)> next_sallocx{"sallocx"};
Next<void(void*, int)> next_dallocx{"dallocx"};
Next<void(void*, std::size_t, int)> next_sdallocx{"sdallocx"};

void* allocate_as_flags_say(std::size_t bytes, int flags, const void* caller) noexcept {
    const auto alignment = std::max(std::size_t{1} << (flags & kAlignmentFlags), alignof(std::max_align_t));
    void* const block = allocate_aligned(alignment, bytes, caller);
    if (block != nullptr && (flags & kZero) != 0) std::memset(block, 0, bytes);
    return block;
}

/// Does what rallocx does for a block of the heap: zeroes the added part if the flags ask for it.
void* reallocate_as_flags_say(void* block, std::size_t bytes, int flags, const void* caller) noexcept {
    void* const moved = allocate_as_flags_say(bytes, flags, caller);
    if (moved == nullptr) return nullptr;
    std::memcpy(moved, block, std::min(bytes, ::malloc_usable_size(block)));
    release(block);
    return moved;
}

/// Returns true if the block must go to the allocator's own function.
template <typename Function>
bool is_for(Next<Function>& next, const void* block) noexcept {
    return !ManagedHeap::owns(block) && ManagedHeap::retired_owner(block) == nullptr && next.exists();
}

}  // namespace

#define CALLER __builtin_return_address(0)

// Defines an allocator's function that frees a block and takes `arguments` besides it.
// NOLINTBEGIN(cppcoreguidelines-macro-usage,bugprone-macro-parentheses): a function of each signature
#define RELEASES(name, parameters, arguments)                         \
    void name parameters noexcept {                                   \
        static constinit Next<void parameters> next{#name};           \
        return is_for(next, block) ? next arguments : release(block); \
    }
// Defines an allocator's function that returns the size of a block.
#define TELLS_SIZE(name)                                                        \
    std::size_t name(void* block) noexcept {                                    \
        static constinit Next<std::size_t(void*)> next{#name};                  \
        return is_for(next, block) ? next(block) : ::malloc_usable_size(block); \
    }
// NOLINTEND(cppcoreguidelines-macro-usage,bugprone-macro-parentheses)

// NOLINTBEGIN: the allocators' names and signatures
extern "C" {

void* mallocx(std::size_t bytes, int flags) noexcept {
    const bool wants_arena = (flags & kArenaFlags) != 0;
    if (next_mallocx.exists() && (wants_arena || !ManagedHeap::serves(CALLER))) return next_mallocx(bytes, flags);
    return allocate_as_flags_say(bytes, flags, CALLER);
}
void* rallocx(void* block, std::size_t bytes, int flags) noexcept {
    if (is_for(next_rallocx, block)) return next_rallocx(block, bytes, flags);
    return reallocate_as_flags_say(block, bytes, flags, CALLER);
}
/// Resizes in place. The heap cannot do that, so a block of the heap keeps its size.
std::size_t xallocx(void* block, std::size_t bytes, std::size_t extra, int flags) noexcept {
    return is_for(next_xallocx, block) ? next_xallocx(block, bytes, extra, flags) : ::malloc_usable_size(block);
}
std::size_t sallocx(const void* block, int flags) noexcept {
    return is_for(next_sallocx, block) ? next_sallocx(block, flags) : ::malloc_usable_size(const_cast<void*>(block));
}
void dallocx(void* block, int flags) noexcept {
    return is_for(next_dallocx, block) ? next_dallocx(block, flags) : release(block);
}
void sdallocx(void* block, std::size_t bytes, int flags) noexcept {
    return is_for(next_sdallocx, block) ? next_sdallocx(block, bytes, flags) : release(block);
}

RELEASES(tc_free, (void* block), (block))
RELEASES(tc_cfree, (void* block), (block))
RELEASES(tc_free_sized, (void* block, std::size_t bytes), (block, bytes))
RELEASES(tc_delete, (void* block), (block))
RELEASES(tc_deletearray, (void* block), (block))
RELEASES(tc_delete_sized, (void* block, std::size_t bytes), (block, bytes))
RELEASES(tc_deletearray_sized, (void* block, std::size_t bytes), (block, bytes))
TELLS_SIZE(tc_malloc_size)

void* tc_realloc(void* block, std::size_t bytes) noexcept {
    static constinit Next<void*(void*, std::size_t)> next{"tc_realloc"};
    return is_for(next, block) ? next(block, bytes) : ::realloc(block, bytes);
}

RELEASES(mi_free, (void* block), (block))
RELEASES(mi_cfree, (void* block), (block))
RELEASES(mi_free_size, (void* block, std::size_t bytes), (block, bytes))
RELEASES(mi_free_aligned, (void* block, std::size_t alignment), (block, alignment))
RELEASES(mi_free_size_aligned, (void* block, std::size_t bytes, std::size_t alignment), (block, bytes, alignment))
TELLS_SIZE(mi_usable_size)
TELLS_SIZE(mi_malloc_size)
TELLS_SIZE(mi_malloc_usable_size)

void* mi_realloc(void* block, std::size_t bytes) noexcept {
    static constinit Next<void*(void*, std::size_t)> next{"mi_realloc"};
    return is_for(next, block) ? next(block, bytes) : ::realloc(block, bytes);
}
void* mi_reallocf(void* block, std::size_t bytes) noexcept {
    static constinit Next<void*(void*, std::size_t)> next{"mi_reallocf"};
    if (is_for(next, block)) return next(block, bytes);
    void* const moved = ::realloc(block, bytes);
    if (moved == nullptr) release(block);
    return moved;
}
void* mi_reallocn(void* block, std::size_t count, std::size_t bytes) noexcept {
    static constinit Next<void*(void*, std::size_t, std::size_t)> next{"mi_reallocn"};
    return is_for(next, block) ? next(block, count, bytes) : ::reallocarray(block, count, bytes);
}

}  // extern "C"
// NOLINTEND
