// What a heap says of a block that it has not handed out, or not as it comes back, before it ends the program.

#include "core/check.hpp"
#include "heap/heap.hpp"

#include <cstdarg>
#include <cstdio>

namespace faultline::detail {

using heap::Span;
using heap::SpanKind;

namespace {

[[noreturn, gnu::format(printf, 1, 2)]] void say(const char* format, ...) noexcept {
    char message[256];
    std::va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    core::fatal(message, __FILE__, __LINE__);
}

}  // namespace

/// Null is nobody's and may be freed.
void Heap::not_in_reservation(const void* block) const noexcept {
    if (block == nullptr) return;
    say("heap: %p is no block of this heap, whose blocks are from %p to %p", block,
        static_cast<const void*>(pages_.base()), static_cast<const void*>(pages_.base() + pages_.bytes()));
}

void Heap::refuse(const void* block) const noexcept {
    const std::uint64_t offset = offset_of(block);
    const Span& span = pages_.span_at(offset);
    const void* const base = pages_.base();
    if (span.kind == SpanKind::blocks) {
        const Span::Place place = span.place_of(offset);
        const void* const begin = pages_.base() + span.begin + place.index * span.block_bytes;
        if (place.index >= span.blocks) {
            say("heap: %p is no block: it is behind the last one of its pages", block);
        } else if (!place.begins_there) {
            say("heap: %p is no block: it is inside the block at %p of %u bytes", block, begin, span.block_bytes);
        }
        say("heap: the block at %p of %u bytes is not live: freed twice, or used after it was freed", block,
            span.block_bytes);
    }
    if (const Span* const large = pages_.large_around(offset)) {
        const void* const begin = pages_.base() + large->begin;
        const std::size_t bytes = large->pages.count << core::kUnitShift;
        if (begin != block) say("heap: %p is no block: it is inside the block at %p of %zu bytes", block, begin, bytes);
        say("heap: the block at %p of %zu bytes is not live: freed twice at the same time", block, bytes);
    }
    say("heap: %p is no block: nothing is allocated there (freed twice, or never allocated), %p bytes into the heap at "
        "%p",
        block, reinterpret_cast<const void*>(offset), base);
}

void Heap::refuse_size(const void* block, std::size_t bytes) const noexcept {
    say("heap: the block at %p is freed as one of %zu bytes, but has %zu", block, bytes,
        usable_size_of(pages_.span_at(offset_of(block))));
}

void Heap::refuse_twice(const void* block) const noexcept {
    say("heap: the block at %p was freed twice: it is in its span already", block);
}

const Span& Heap::live_span(const void* block) const noexcept {
    const std::uint64_t offset = offset_of(block);
    if (offset >= pages_.bytes()) {
        not_in_reservation(block);
        say("heap: null is no block");
    }
    const Span& span = pages_.span_at(offset);
    const Span::Place place = span.place_of(offset);
    if (!place.begins_there || span.marks[place.index].load(std::memory_order_relaxed) != heap::kLive) refuse(block);
    return span;
}

}  // namespace faultline::detail
