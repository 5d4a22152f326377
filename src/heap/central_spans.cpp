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

std::size_t CentralSpans::take(Shard shard, SizeClass size_class, std::span<FreeBlock> blocks,
                               StalePages* stale) noexcept {
    return take_locked(shard, size_class, blocks, stale, false);
}

CentralSpans::Taken CentralSpans::take_adding_span(Shard shard, SizeClass size_class, std::span<FreeBlock> blocks,
                                                   StalePages* stale) noexcept {
    // Without the class's lock: this may ask the store for room, with a system call.
    Span* const span = pages_.new_span(size_class, shard);
    if (span != nullptr) add_span(*span);
    std::size_t taken = take_locked(shard, size_class, blocks, stale, true);
    if (span != nullptr) return {taken, true};
    for (Shard other = 0; taken == 0 && other < kShards; ++other) {
        if (other != shard) taken = take_locked(other, size_class, blocks, stale, true);
    }
    return {taken, false};
}

std::size_t CentralSpans::take_locked(Shard shard, SizeClass size_class, std::span<FreeBlock> blocks, StalePages* stale,
                                      bool last_resort) noexcept {
    ClassSpans& spans = shards_[shard][size_class];
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
    const auto [spans, lock] = lock_spans_with(span);
    if (metadata_.take(span)) {
        spans.add(span);
    } else {
        pages_.free_span(span);
    }
}

bool CentralSpans::adopt(SizeClass size_class, Shard from, Shard to) noexcept {
    ClassSpans& giver = shards_[from][size_class];
    ClassSpans& taker = shards_[to][size_class];
    // Two locks of one rank: the lower shard's first.
    const std::lock_guard first{from < to ? giver.mutex : taker.mutex};
    const std::lock_guard second{from < to ? taker.mutex : giver.mutex};
    while (taker.best(false) == nullptr) {
        Span* const span = taker.adopt_from(giver);
        if (span == nullptr) return false;
        span->shard.store(to, std::memory_order_relaxed);
    }
    return true;
}

CentralSpans::Locked CentralSpans::lock_spans_with(const Span& span) noexcept {
    for (;;) {
        const Shard shard = span.shard.load(std::memory_order_relaxed);
        ClassSpans& spans = shards_[shard][span.size_class];
        std::unique_lock lock{spans.mutex};
        if (span.shard.load(std::memory_order_relaxed) == shard) return {spans, std::move(lock)};
    }
}

// ---- putting them back

void CentralSpans::put_back(SizeClass size_class, std::span<const FreeBlock> blocks) noexcept {
    // Blocks next to each other in a batch mostly belong to one shard.
    while (!blocks.empty()) {
        const Shard shard = shard_of(blocks.front());
        ClassSpans& spans = shards_[shard][size_class];
        const std::lock_guard lock{spans.mutex};
        std::size_t done = 0;
        while (done < blocks.size() && shard_of(blocks[done]) == shard)
            put_back_locked(spans, size_class, blocks[done++]);
        blocks = blocks.subspan(done);
    }
}

/// Puts one block back into its span, which is in `spans`. The caller holds the lock.
void CentralSpans::put_back_locked(ClassSpans& spans, SizeClass size_class, const FreeBlock& block) noexcept {
    Span& span = pages_.span_at(pages_.offset_of(block.block));
    if (span.kind != SpanKind::blocks || span.size_class != size_class ||
        !spans.put_back(span, static_cast<std::uint64_t>(block.mark - span.marks), pages_.life())) {
        abort_freed_twice(block.block);
    }
    free_removed(spans.remove_surplus(span));
}

void CentralSpans::free_unused_spans() noexcept {
    for (auto& classes : shards_) {
        for (ClassSpans& spans : classes) {
            const std::lock_guard lock{spans.mutex};
            while (Span* const unused = spans.take_unused()) free_removed(unused);
        }
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
    const HeapPages::Owner seen = pages_.owner_of(pages.first);
    ClassSpans& spans = shards_[seen.shard][size_class];
    const std::lock_guard lock{spans.mutex};
    // While the lock is held, no span of the class leaves the shard.
    const HeapPages::Owner owner = pages_.owner_of(pages.first);
    if (owner.kind != SpanKind::blocks || owner.size_class != size_class || owner.shard != seen.shard) return;
    Span* const span = owner.span;
    if (span->marks == nullptr) return;  // it is being added
    held.span = span;
    for (std::uint64_t page = pages.first; page < std::min(pages.end(), span->pages.end()); ++page) {
        if (!pages_.life().is_dead(page)) continue;
        spans.hold_page(*span, page - span->pages.first);
        if (held.count > 0 && held.ranges[held.count - 1].end() == page) {
            ++held.ranges[held.count - 1].count;
        } else {
            held.ranges[held.count++] = {page, 1};
        }
    }
}

void CentralSpans::release_pages(const HeldPages& held) noexcept {
    if (held.count == 0) return;
    const auto [spans, lock] = lock_spans_with(*held.span);
    for (const PageRange& range : std::span{held.ranges}.first(held.count)) {
        for (std::uint64_t page = range.first; page < range.end(); ++page) {
            spans.release_page(*held.span, page - held.span->pages.first);
        }
    }
    free_removed(spans.remove_surplus(*held.span));
}

CentralSpans::Counts CentralSpans::counts(SizeClass size_class) noexcept {
    Counts sum{};
    for (auto& classes : shards_) {
        ClassSpans& spans = classes[size_class];
        const std::lock_guard lock{spans.mutex};
        sum.spans += spans.spans;
        sum.free_blocks += spans.free_blocks;
    }
    return sum;
}

}  // namespace faultline::heap
