// Checks of pointers that the program frees, resizes or asks about. Each function aborts with a message that names the
// mistake (double free, pointer into a block, wrong size). Called by Heap and SmallBlocks.
#pragma once

#include "heap/heap_pages.hpp"

#include <cstddef>

namespace faultline::heap {

/// Aborts unless `block`, which is outside the reservation, is null.
[[gnu::cold]] void abort_unless_null(const HeapPages& pages, const void* block) noexcept;
/// Aborts: `block`, inside the reservation, is not the begin of a live block.
[[noreturn, gnu::cold]] void abort_not_live(const HeapPages& pages, const void* block) noexcept;
/// Like abort_not_live. Not marked noreturn, so that `deallocate` can jump to it and needs no stack frame.
[[gnu::cold]] void abort_on_free(const HeapPages& pages, const void* block) noexcept;
/// Aborts: the live block is smaller than `bytes`, the size that the program passed to free it.
[[noreturn, gnu::cold]] void abort_bad_size(const HeapPages& pages, const void* block, std::size_t bytes) noexcept;
/// Aborts: the block was put back into its span twice.
[[noreturn, gnu::cold]] void abort_freed_twice(const void* block) noexcept;

/// Returns the span of a live block. Aborts if `block` is anything else.
[[nodiscard]] const Span& live_span(const HeapPages& pages, const void* block) noexcept;

}  // namespace faultline::heap
