#include "heap/central_spans.hpp"

#include "heap/bad_block.hpp"

#include <algorithm>
#include <mutex>

namespace faultline::heap {

using core::PageRange;

CentralSpans::CentralSpans(HeapPages& pages)
    : pages_{pages},
      // A span of the smallest blocks needs a fourteenth of its length.
      metadata_{pages.bytes() / 8} {}

// ---- taking blocks

std::size_t CentralSpans::take(SizeClass size_class, std::span<FreeBlock> blocks, StalePages* stale) noexcept {
    return take_locked(size_class, blocks, stale, false);
}

CentralSpans::Taken CentralSpans::take_adding_span(SizeClass size_class, std::span<FreeBlock> blocks,
                                                   StalePages* stale) noexcept {
    // Without the class's lock: this may ask the store for room, with a system call.
    Span* const span = pages_.new_span(size_class);
    if (span != nullptr) add_span(*span);
    return {take_locked(size_class, blocks, stale, true), span != nullptr};
}

std::size_t CentralSpans::take_locked(SizeClass size_class, std::span<FreeBlock> blocks, StalePages* stale,
                                      bool last_resort) noexcept {
    ClassSpans& spans = classes_[size_class];
    const std::lock_guard lock{spans.mutex};
    std::size_t taken = 0;
    while (taken < blocks.size()) {
        Span* const span = spans.best(last_resort && taken == 0);
        if (span == nullptr) break;  // a smaller batch is enough
        taken += spans.take(*span, pages_.base(), pages_.life(), blocks.subspan(taken), stale);
    }
    return taken;
}

void CentralSpans::add_span(Span& span) noexcept {
    const std::lock_guard lock{classes_[span.size_class].mutex};
    if (metadata_.take(span)) {
        classes_[span.size_class].add(span);
    } else {
        pages_.free_span(span);
    }
}

// ---- putting them back

void CentralSpans::put_back(SizeClass size_class, std::span<const FreeBlock> blocks) noexcept {
    ClassSpans& spans = classes_[size_class];
    const std::lock_guard lock{spans.mutex};
    for (const FreeBlock& block : blocks) {
        Span& span = pages_.span_at(pages_.offset_of(block.block));
        if (span.kind != SpanKind::blocks || span.size_class != size_class ||
            !spans.put_back(span, static_cast<std::uint64_t>(block.mark - span.marks), pages_.life())) {
            abort_freed_twice(block.block);
        }
        free_removed(spans.remove_surplus(span));
    }
}

void CentralSpans::free_unused_spans() noexcept {
    for (ClassSpans& spans : classes_) {
        const std::lock_guard lock{spans.mutex};
        while (Span* const unused = spans.take_unused()) free_removed(unused);
    }
}

/// Frees the pages of a span that was removed from its class; null does nothing. The caller holds the class's lock.
void CentralSpans::free_removed(Span* span) noexcept {
    if (span == nullptr) return;
    metadata_.give(*span);
    pages_.free_span(*span);
}

// ---- holding pages

void CentralSpans::hold_dead_pages(SizeClass size_class, PageRange pages, HeldPages& held) noexcept {
    ClassSpans& spans = classes_[size_class];
    const std::lock_guard lock{spans.mutex};
    const HeapPages::Owner owner = pages_.owner_of(pages.first);
    // While the lock is held, no span of the class is freed.
    if (owner.kind != SpanKind::blocks || owner.size_class != size_class) return;
    held.span = owner.span;
    for (std::uint64_t page = pages.first; page < std::min(pages.end(), held.span->pages.end()); ++page) {
        if (!pages_.life().is_dead(page)) continue;
        spans.hold_page(*held.span, page - held.span->pages.first);
        if (held.count > 0 && held.ranges[held.count - 1].end() == page) {
            ++held.ranges[held.count - 1].count;
        } else {
            held.ranges[held.count++] = {page, 1};
        }
    }
}

void CentralSpans::release_pages(SizeClass size_class, const HeldPages& held) noexcept {
    if (held.count == 0) return;
    ClassSpans& spans = classes_[size_class];
    const std::lock_guard lock{spans.mutex};
    for (const PageRange& range : std::span{held.ranges}.first(held.count)) {
        for (std::uint64_t page = range.first; page < range.end(); ++page) {
            spans.release_page(*held.span, page - held.span->pages.first);
        }
    }
    free_removed(spans.remove_surplus(*held.span));
}

CentralSpans::Counts CentralSpans::counts(SizeClass size_class) noexcept {
    const std::lock_guard lock{classes_[size_class].mutex};
    return {classes_[size_class].spans, classes_[size_class].free_blocks};
}

}  // namespace faultline::heap
