// The C library's own allocator, under names that no library interposes. It serves every allocation that must not be
// managed: those before the heap exists, and those of the C library and of faultline itself.
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
