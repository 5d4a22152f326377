#include "heap/class_spans.hpp"

#include "core/check.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace faultline::heap {

using core::PageRange;

void ClassSpans::add(Span& span) noexcept {
    span.age = SpanAge::young;
    span.list = kNoList;
    Span*& turn = young_[added_++ % kYoung];
    if (Span* const aged = std::exchange(turn, &span); aged != nullptr) {
        aged->age = SpanAge::old;
        if (aged->list != kNoList) move_to_list(*aged);
    }
    ++spans;
    free_blocks += span.free_blocks;
    move_to_list(span);
}

Span* ClassSpans::adopt_from(ClassSpans& other) noexcept {
    Span* const span = other.best(false);
    if (span == nullptr) return nullptr;
    other.remove_from_list(*span);
    other.detach(*span);
    span->age = SpanAge::old;
    ++spans;
    free_blocks += span->free_blocks;
    move_to_list(*span);
    return span;
}

Span* ClassSpans::best(bool last_resort) noexcept {
    constexpr auto kOld = static_cast<std::size_t>(SpanAge::old) * kFullnesses;
    for (std::size_t list = 0; list < kOld; ++list) {
        if (!lists_[list].empty()) return &lists_[list].front();
    }
    if (kept_ != nullptr && kept_->free_blocks > 0) {
        Span& span = *std::exchange(kept_, nullptr);
        move_to_list(span);
        return &span;
    }
    for (std::size_t list = kOld + 1; list < lists_.size(); ++list) {
        if (!lists_[list].empty()) return &lists_[list].front();
    }
    return last_resort && !lists_[kOld].empty() ? &lists_[kOld].front() : nullptr;
}

Span* ClassSpans::remove_surplus(Span& span) noexcept {
    if (span.free_blocks != span.blocks || &span == kept_) return nullptr;
    remove_from_list(span);
    if (kept_ == nullptr) {
        kept_ = &span;
        return nullptr;
    }
    Span* out = &span;
    // Keep the span at the lower address, so that the break can fall; unless a sweep holds pages of the other span,
    // which is then not empty.
    if (span.begin < kept_->begin && kept_->free_blocks == kept_->blocks) out = std::exchange(kept_, &span);
    detach(*out);
    return out;
}

Span* ClassSpans::take_unused() noexcept {
    if (kept_ != nullptr && kept_->free_blocks == kept_->blocks) {
        Span* const span = std::exchange(kept_, nullptr);
        detach(*span);
        return span;
    }
    // New spans whose blocks were not needed are on the lists of empty spans.
    for (const int list : {kFullnesses - 1, 2 * kFullnesses - 1}) {
        for (Span& span : lists_[static_cast<std::size_t>(list)]) {
            if (span.free_blocks != span.blocks) continue;
            remove_from_list(span);
            detach(span);
            return &span;
        }
    }
    return nullptr;
}

void ClassSpans::detach(Span& span) noexcept {
    std::replace(young_.begin(), young_.end(), &span, static_cast<Span*>(nullptr));
    --spans;
    free_blocks -= span.free_blocks;
}

std::size_t ClassSpans::take(Span& span, std::byte* base, PageLife& life, std::span<FreeBlock> blocks,
                             StalePages* stale) noexcept {
    std::size_t taken = 0;
    for (std::uint32_t word = 0; taken < blocks.size() && word * 64 < span.blocks; ++word) {
        while (span.free_bits[word] != 0 && taken < blocks.size()) {
            const std::uint64_t index = word * 64U + static_cast<unsigned>(std::countr_zero(span.free_bits[word]));
            span.free_bits[word] &= span.free_bits[word] - 1;
            const std::uint64_t inside = index * span.block_bytes;
            const PageRange pages = span.pages_of(inside);
            if (stale != nullptr) {
                for (std::uint64_t i = 0; i < pages.count; ++i) {
                    if (!life.is_fresh(span.pages.first + pages.first + i)) stale->set(i);
                }
            }
            const PageRange used = count_use(span, pages);
            if (!used.empty()) life.mark_live(used);
            blocks[taken++] = {base + span.begin + inside, &span.marks[index]};
        }
    }
    span.free_blocks -= static_cast<std::uint32_t>(taken);
    free_blocks -= taken;
    move_to_list(span);
    return taken;
}

bool ClassSpans::put_back(Span& span, std::uint64_t index, PageLife& life) noexcept {
    std::uint64_t& word = span.free_bits[index / 64];
    const std::uint64_t bit = std::uint64_t{1} << (index % 64);
    if ((word & bit) != 0) return false;
    word |= bit;
    ++span.free_blocks;
    ++free_blocks;
    const PageRange unused = count_disuse(span, span.pages_of(index * span.block_bytes));
    if (!unused.empty()) life.mark_dead(unused);
    move_to_list(span);
    return true;
}

/// Counts a block in on its pages. Returns those that had no block in use before: a run, because only the first and the
/// last page of a block have other blocks.
PageRange ClassSpans::count_use(const Span& span, PageRange pages) noexcept {
    PageRange first_used{pages.end(), 0};
    for (std::uint64_t page = pages.first; page < pages.end(); ++page) {
        if (span.used[page]++ == 0) first_used = {std::min(first_used.first, page), first_used.count + 1};
    }
    return {span.pages.first + first_used.first, first_used.count};
}

/// Counts a block out on its pages. Returns those, a run again, that have no block in use any more.
PageRange ClassSpans::count_disuse(const Span& span, PageRange pages) noexcept {
    PageRange unused{pages.end(), 0};
    for (std::uint64_t page = pages.first; page < pages.end(); ++page) {
        FAULTLINE_INVARIANT(span.used[page] > 0);
        if (--span.used[page] == 0) unused = {std::min(unused.first, page), unused.count + 1};
    }
    return {span.pages.first + unused.first, unused.count};
}

template <typename Visit>
void ClassSpans::for_blocks_on(const Span& span, std::uint64_t page, Visit visit) noexcept {
    const std::uint64_t begin = page << core::kUnitShift;
    const std::uint64_t end =
        std::min<std::uint64_t>(begin + core::kUnitBytes, std::uint64_t{span.blocks} * span.block_bytes);
    for (std::uint64_t i = begin / span.block_bytes; i * span.block_bytes < end; ++i) visit(i);
}

void ClassSpans::hold_page(Span& span, std::uint64_t page) noexcept {
    for_blocks_on(span, page, [&](std::uint64_t index) {
        std::uint64_t& word = span.free_bits[index / 64];
        const std::uint64_t bit = std::uint64_t{1} << (index % 64);
        if ((word & bit) == 0) return;  // the block begins on the page before, which is held too
        word &= ~bit;
        --span.free_blocks;
        --free_blocks;
    });
    move_to_list(span);
}

void ClassSpans::release_page(Span& span, std::uint64_t page) noexcept {
    for_blocks_on(span, page, [&](std::uint64_t index) {
        std::uint64_t& word = span.free_bits[index / 64];
        const std::uint64_t bit = std::uint64_t{1} << (index % 64);
        if ((word & bit) != 0) return;
        word |= bit;
        ++span.free_blocks;
        ++free_blocks;
    });
    move_to_list(span);
}

std::uint8_t ClassSpans::list_for(const Span& span) noexcept {
    if (span.free_blocks == 0) return kNoList;
    // avoids a division by a variable: this runs for each block
    const std::uint32_t quarter = span.blocks / kFullnesses;
    const auto fullness = static_cast<std::uint8_t>((span.free_blocks > quarter) + (span.free_blocks > 2 * quarter) +
                                                    (span.free_blocks > 3 * quarter));
    return static_cast<std::uint8_t>(static_cast<std::uint8_t>(span.age) * kFullnesses + fullness);
}

/// Moves the span to the list that fits its age and free blocks.
void ClassSpans::move_to_list(Span& span) noexcept {
    if (&span == kept_) return;
    const std::uint8_t list = list_for(span);
    if (list == span.list) return;
    remove_from_list(span);
    span.list = list;
    if (list != kNoList) lists_[list].push_front(span);
}

void ClassSpans::remove_from_list(Span& span) noexcept {
    if (span.list == kNoList) return;
    lists_[span.list].erase(List::s_iterator_to(span));
    span.list = kNoList;
}

}  // namespace faultline::heap
