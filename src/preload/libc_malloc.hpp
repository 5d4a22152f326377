// The C library's own allocator, under the names that nobody interposes. It is the arena of everything that must not be
// managed: what the program allocates before there is a heap, what the C library and faultline allocate for themselves.
#pragma once

#include <cstddef>

// NOLINTBEGIN: the C library's names
extern "C" {
void* __libc_malloc(std::size_t bytes) noexcept;
void* __libc_calloc(std::size_t count, std::size_t bytes) noexcept;
void* __libc_realloc(void* block, std::size_t bytes) noexcept;
void* __libc_memalign(std::size_t alignment, std::size_t bytes) noexcept;
void __libc_free(void* block) noexcept;
}
// NOLINTEND
