// The functions behind malloc and operator new. `caller`: the address that the call came from (ManagedHeap::serves).
// They choose between the heap and the unmanaged allocator (unmanaged.hpp). Called by the malloc family, operator new
// and delete, strdup, and the extensions of other allocators.
#pragma once

#include <cstddef>

namespace faultline::preload {

/// Returns null and sets errno to ENOMEM if there is no memory. `alignment`: a power of two.
[[nodiscard]] void* allocate(std::size_t bytes, const void* caller) noexcept;
[[nodiscard]] void* allocate_aligned(std::size_t alignment, std::size_t bytes, const void* caller) noexcept;
/// Frees a block of any allocator: the managed heap's, the C library's or the program's own. Keeps errno.
void release(void* block) noexcept;

}  // namespace faultline::preload
