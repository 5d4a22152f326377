#include "heap/bad_block.hpp"

#include "core/check.hpp"

#include <cstdarg>
#include <cstdio>

namespace faultline::heap {

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

void abort_unless_null(const HeapPages& pages, const void* block) noexcept {
    if (block == nullptr) return;
    abort_with("heap: bad pointer %p: it is not in this heap (%p to %p); free it where it was allocated", block,
               static_cast<const void*>(pages.base()), static_cast<const void*>(pages.base() + pages.bytes()));
}

void abort_not_live(const HeapPages& pages, const void* block) noexcept {
    const std::uint64_t offset = pages.offset_of(block);
    const Span& span = pages.span_at(offset);
    const void* const base = pages.base();
    if (span.kind == SpanKind::blocks) {
        const Span::Position position = span.position_of(offset);
        const void* const begin = pages.base() + span.begin + position.index * span.block_bytes;
        if (position.index >= span.blocks) {
            abort_with("heap: bad pointer %p: it is behind the last block of its span", block);
        } else if (!position.is_begin) {
            abort_with("heap: bad pointer %p: it is inside the block at %p of %u bytes; pass the block's begin", block,
                       begin, span.block_bytes);
        }
        abort_with("heap: double free or use after free: the block at %p of %u bytes is free", block, span.block_bytes);
    }
    if (const Span* const large = pages.large_around(offset)) {
        const void* const begin = pages.base() + large->begin;
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

void abort_on_free(const HeapPages& pages, const void* block) noexcept { abort_not_live(pages, block); }

void abort_bad_size(const HeapPages& pages, const void* block, std::size_t bytes) noexcept {
    abort_with("heap: bad size: the block at %p is freed with a size of %zu bytes, but has %zu", block, bytes,
               pages.span_at(pages.offset_of(block)).usable_bytes());
}

void abort_freed_twice(const void* block) noexcept {
    abort_with("heap: double free: the block at %p is in its span already", block);
}

const Span& live_span(const HeapPages& pages, const void* block) noexcept {
    const std::uint64_t offset = pages.offset_of(block);
    if (offset >= pages.bytes()) {
        abort_unless_null(pages, block);
        abort_with("heap: bad pointer: null is not a block");
    }
    const Span& span = pages.span_at(offset);
    const Span::Position position = span.position_of(offset);
    if (!position.is_begin || span.marks[position.index].load(std::memory_order_relaxed) != kLive)
        abort_not_live(pages, block);
    return span;
}

}  // namespace faultline::heap
