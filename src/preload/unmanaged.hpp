// Where allocations go that the heap does not serve: to the allocator that the program would have without the preload.
// That is the C library's, or one that the program brings along. One in its executable (a statically linked jemalloc)
// gets the program's calls of malloc, which never reach the preload then: what the preload allocates in the name of the
// program, for strdup or operator new, must come from there, too.
#pragma once

#include <cstddef>

namespace faultline::preload::unmanaged {

[[nodiscard]] void* allocate(std::size_t bytes) noexcept;
[[nodiscard]] void* allocate_zeroed(std::size_t count, std::size_t bytes) noexcept;
[[nodiscard]] void* allocate_aligned(std::size_t alignment, std::size_t bytes) noexcept;
[[nodiscard]] void* reallocate(void* block, std::size_t bytes) noexcept;
void release(void* block) noexcept;

/// Whether the program's calls of malloc go to an allocator in front of the preload. One that hands them on to the
/// preload is not meant: it is a wrapper.
[[nodiscard]] bool program_has_own_malloc() noexcept;

/// Whether the code at `address` is in the library of the allocator that `allocate` uses; false for the C library's.
[[nodiscard]] bool is_code_of_linked_allocator(const void* address) noexcept;

/// The path of the object whose malloc that is, as the loader knows it; empty for one that has no name.
[[nodiscard]] const char* object_of_own_malloc() noexcept;

}  // namespace faultline::preload::unmanaged
