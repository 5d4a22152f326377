// A library for linked_malloc.cpp that defines malloc's family and jemalloc's non-standard functions.

#include "own_malloc.hpp"

// NOLINTBEGIN
extern "C" {
void* mallocx(std::size_t bytes, int) { return own_malloc::make(bytes); }
void* rallocx(void* block, std::size_t bytes, int) { return own_malloc::resize(block, bytes); }
std::size_t xallocx(void* block, std::size_t, std::size_t, int) { return own_malloc::header_of(block).bytes; }
std::size_t sallocx(const void* block, int) { return own_malloc::header_of(block).bytes; }
void dallocx(void* block, int) { own_malloc::release(block); }
void sdallocx(void* block, std::size_t, int) { own_malloc::release(block); }
std::size_t malloc_usable_size(void* block) noexcept {
    return block == nullptr ? 0 : own_malloc::header_of(block).bytes;
}
}
// NOLINTEND
