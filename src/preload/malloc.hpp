// What malloc and operator new come down to. `caller` is where they were called from (ManagedHeap::serves).
#pragma once

#include <cstddef>

namespace faultline::preload {

/// Null, and errno is ENOMEM, when it cannot be had. `alignment`: a power of two.
[[nodiscard]] void* allocate(std::size_t bytes, const void* caller) noexcept;
[[nodiscard]] void* allocate_aligned(std::size_t alignment, std::size_t bytes, const void* caller) noexcept;
/// Whoever made it. Leaves errno alone.
void release(void* block) noexcept;

}  // namespace faultline::preload
