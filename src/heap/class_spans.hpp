// ClassSpans: the spans of one size class that have free blocks, and the rule which of them the next blocks come from.
// Blocks of one age share pages: what is allocated now comes from the youngest spans, the fullest first, so that few
// pages are in use; from old ones only where they have room enough for a visit to pay (their pages may have to be read
// from the store). Takes blocks out of spans and puts them back; owns no pages.
#pragma once

#include "heap/page_life.hpp"
#include "heap/span.hpp"
#include "sys/futex_lock.hpp"

#include <boost/intrusive/list.hpp>

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <span>

namespace faultline::heap {

/// Which pages of a block, counted from its first, may hold old bytes.
using StalePages = std::bitset<kMostClassBytes / core::kUnitBytes + 1>;

class ClassSpans {
public:
    /// Guards all else here and the spans of the class. The heap's lock of pages may be taken while it is held.
    sys::FutexLock mutex;

    // ---- what spans there are

    /// A span that has never been here, all of it free.
    void add(Span& span) noexcept;

    /// The span that the next blocks should come from; null: a new one would be better. `last_resort`: there is no new
    /// one, so any that has a free block.
    [[nodiscard]] Span* best(bool last_resort) noexcept;

    /// After blocks of `span` have been put back: a span of which all blocks are free and which is not kept for the
    /// next ones, `span` or another, or null. It leaves here.
    [[nodiscard]] Span* leaving(Span& span) noexcept;

    /// A span without any block in use, or null. It leaves here.
    [[nodiscard]] Span* take_unused() noexcept;

    // ---- blocks in and out

    /// Takes up to `blocks.size()` free blocks, lowest first, out of a span that has some. Returns how many. `stale`,
    /// for one block: says what of it is not zeros.
    std::size_t take(Span& span, std::byte* base, PageLife& life, std::span<FreeBlock> blocks,
                     StalePages* stale = nullptr) noexcept;

    /// Puts a block back. False, and nothing has changed: it is there already.
    [[nodiscard]] bool put_back(Span& span, std::uint64_t index, PageLife& life) noexcept;

    /// Takes all blocks off a page of the span that has none in use, so that it stays so; and back again.
    void hold_page(Span& span, std::uint64_t page) noexcept;
    void let_page_go(Span& span, std::uint64_t page) noexcept;

    // ---- figures

    std::uint64_t spans = 0;
    std::uint64_t free_blocks = 0;  ///< In spans.

private:
    using List = boost::intrusive::list<
        Span, boost::intrusive::member_hook<Span, boost::intrusive::list_member_hook<Unchecked>, &Span::on_shelf>>;
    static constexpr std::uint8_t kFullnesses = 4;  // quarters of a span that are free
    static constexpr std::uint8_t kNowhere = 2 * kFullnesses;
    static constexpr std::size_t kYoung = 8;  // spans

    [[nodiscard]] static std::uint8_t shelf_for(const Span& span) noexcept;
    void shelve(Span& span) noexcept;
    void unshelve(Span& span) noexcept;
    void forget(Span& span) noexcept;
    template <typename Visit>
    static void for_blocks_on(const Span& span, std::uint64_t page, Visit visit) noexcept;

    std::array<List, 2 * kFullnesses> shelves_;
    std::array<Span*, kYoung> young_{};  // the last ones, in turn
    std::size_t births_ = 0;
    Span* kept_ = nullptr;  // without a block in use, on no shelf
};

}  // namespace faultline::heap
