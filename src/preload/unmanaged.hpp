// The allocator for allocations that the heap does not serve: the one that the program would have without the preload.
// That is the C library's, or one that the program brings along. If the executable contains one (a statically linked
// jemalloc), the program's malloc calls never reach the preload. Blocks that the preload allocates for the program
// (strdup, operator new) must then come from that allocator, too. What the library allocates for itself comes from
// sys::OwnHeap.
#pragma once

#include <cstddef>

namespace faultline::preload::unmanaged {

[[nodiscard]] void* allocate(std::size_t bytes) noexcept;
[[nodiscard]] void* allocate_zeroed(std::size_t count, std::size_t bytes) noexcept;
[[nodiscard]] void* allocate_aligned(std::size_t alignment, std::size_t bytes) noexcept;
[[nodiscard]] void* reallocate(void* block, std::size_t bytes) noexcept;
void release(void* block) noexcept;
[[nodiscard]] std::size_t usable_size(void* block) noexcept;

/// Returns true if the program's calls of malloc reach another allocator before the preload. A wrapper, which passes
/// them on to the preload, does not count.
[[nodiscard]] bool program_has_own_malloc() noexcept;

/// Returns true if the code at `address` is in the library of the allocator that `allocate` uses; false for the C
/// library's.
[[nodiscard]] bool is_code_of_linked_allocator(const void* address) noexcept;

/// Returns an address in the code of the allocator that `allocate` uses.
[[nodiscard]] const void* code_of_allocator() noexcept;

/// Returns the path of the object that defines this malloc, as the loader knows it; empty if it has no name.
[[nodiscard]] const char* object_of_own_malloc() noexcept;

}  // namespace faultline::preload::unmanaged
