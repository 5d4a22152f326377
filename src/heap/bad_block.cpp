// Aborts with a message when the program frees or resizes a pointer that is not a live block of the heap. Called by the
// checks in heap.hpp; only null returns.

#include "core/check.hpp"
#include "heap/heap.hpp"

#include <cstdarg>
#include <cstdio>

namespace faultline::heap {

using heap::Span;
using heap::SpanKind;

namespace {

[[noreturn, gnu::format(printf, 1, 2)]] void abort_with(const char* format, ...) noexcept {
    char message[256];
    std::va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    core::fatal(message, __FILE__, __LINE__);
}

}  // namespace

/// Aborts unless `block` is null, which may be freed. The caller found `block` outside the reservation.
void Heap::refuse_unless_null(const void* block) const noexcept {
    if (block == nullptr) return;
    abort_with("heap: bad pointer %p: it is not in this heap (%p to %p); free it where it was allocated", block,
               static_cast<const void*>(pages_.base()), static_cast<const void*>(pages_.base() + pages_.bytes()));
}

void Heap::refuse(const void* block) const noexcept {
    const std::uint64_t offset = offset_of(block);
    const Span& span = pages_.span_at(offset);
    const void* const base = pages_.base();
    if (span.kind == SpanKind::blocks) {
        const Span::Position position = span.position_of(offset);
        const void* const begin = pages_.base() + span.begin + position.index * span.block_bytes;
        if (position.index >= span.blocks) {
            abort_with("heap: bad pointer %p: it is behind the last block of its span", block);
        } else if (!position.is_begin) {
            abort_with("heap: bad pointer %p: it is inside the block at %p of %u bytes; pass the block's begin", block,
                       begin, span.block_bytes);
        }
        abort_with("heap: double free or use after free: the block at %p of %u bytes is free", block, span.block_bytes);
    }
    if (const Span* const large = pages_.large_around(offset)) {
        const void* const begin = pages_.base() + large->begin;
        const std::size_t bytes = large->pages.count << core::kUnitShift;
        if (begin != block)
            abort_with("heap: bad pointer %p: it is inside the block at %p of %zu bytes; pass the block's begin", block,
                       begin, bytes);
        abort_with("heap: double free: two threads free the block at %p of %zu bytes at the same time", block, bytes);
    }
    abort_with(
        "heap: bad pointer %p: nothing is allocated there (double free, or never allocated); it is %p bytes into the "
        "heap at %p",
        block, reinterpret_cast<const void*>(offset), base);
}

void Heap::refuse_size(const void* block, std::size_t bytes) const noexcept {
    abort_with("heap: bad size: the block at %p is freed with a size of %zu bytes, but has %zu", block, bytes,
               usable_size_of(pages_.span_at(offset_of(block))));
}

void Heap::refuse_twice(const void* block) const noexcept {
    abort_with("heap: double free: the block at %p is in its span already", block);
}

const Span& Heap::live_span(const void* block) const noexcept {
    const std::uint64_t offset = offset_of(block);
    if (offset >= pages_.bytes()) {
        refuse_unless_null(block);
        abort_with("heap: bad pointer: null is not a block");
    }
    const Span& span = pages_.span_at(offset);
    const Span::Position position = span.position_of(offset);
    if (!position.is_begin || span.marks[position.index].load(std::memory_order_relaxed) != heap::kLive) refuse(block);
    return span;
}

}  // namespace faultline::heap
