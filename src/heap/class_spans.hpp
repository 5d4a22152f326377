// ClassSpans: the spans of one size class and shard that have free blocks, and the rule that selects the span for the
// next blocks. New blocks come from the youngest spans, the fullest first, so that blocks of one age share pages and
// few pages are in use. Old spans give blocks only where they have many free ones, because their pages may have to be
// read from the store. It takes blocks out of spans and puts them back; it owns no pages. Used by CentralSpans.
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

/// The pages of a block, counted from its first, that may hold old bytes.
using StalePages = std::bitset<kMostClassBytes / core::kUnitBytes + 1>;

class ClassSpans {
public:
    /// Guards all other members, and the spans of the class. HeapPages' lock may be taken while this one is held.
    sys::FutexLock mutex;

    // ---- spans

    /// Adds a new span, all of whose blocks are free.
    void add(Span& span) noexcept;

    /// Moves the span from which another ClassSpans would take its next blocks to this one, as an old span. Returns it,
    /// or null if the other has none. The caller holds both locks, and changes the span's shard.
    [[nodiscard]] Span* adopt_from(ClassSpans& other) noexcept;

    /// Returns the span to take the next blocks from. Null: a new span is the better choice. `last_resort`: there is no
    /// room for a new span, so return any span with a free block.
    [[nodiscard]] Span* best(bool last_resort) noexcept;

    /// Call after blocks of `span` were put back. If the class then has an empty span more than the one it keeps,
    /// removes it and returns it: `span` or another. Else returns null.
    [[nodiscard]] Span* remove_surplus(Span& span) noexcept;

    /// Removes and returns a span without a block in use; null if there is none.
    [[nodiscard]] Span* take_unused() noexcept;

    // ---- blocks

    /// Takes up to `blocks.size()` free blocks out of a span that has some, the lowest first. Returns how many.
    /// `stale`: set for the pages of the block that may hold old bytes; only when taking one block.
    std::size_t take(Span& span, std::byte* base, PageLife& life, std::span<FreeBlock> blocks,
                     StalePages* stale = nullptr) noexcept;

    /// Puts a block back. Returns false, and changes nothing, if the block is in the span already.
    [[nodiscard]] bool put_back(Span& span, std::uint64_t index, PageLife& life) noexcept;

    /// `hold_page` takes all blocks out of a page that has no block in use, so that none is handed out while the page
    /// is discarded. `release_page` puts them back.
    void hold_page(Span& span, std::uint64_t page) noexcept;
    void release_page(Span& span, std::uint64_t page) noexcept;

    // ---- figures

    std::uint64_t spans = 0;
    std::uint64_t free_blocks = 0;  ///< in spans; not those in caches and batches

private:
    using List = boost::intrusive::list<
        Span, boost::intrusive::member_hook<Span, boost::intrusive::list_member_hook<Unchecked>, &Span::in_list>>;
    static constexpr std::uint8_t kFullnesses = 4;  // by quarters of the span that are free
    static constexpr std::uint8_t kNoList = 2 * kFullnesses;
    static constexpr std::size_t kYoung = 8;  // spans

    [[nodiscard]] static std::uint8_t list_for(const Span& span) noexcept;
    void move_to_list(Span& span) noexcept;
    void remove_from_list(Span& span) noexcept;
    void detach(Span& span) noexcept;
    [[nodiscard]] static core::PageRange count_use(const Span& span, core::PageRange pages) noexcept;
    [[nodiscard]] static core::PageRange count_disuse(const Span& span, core::PageRange pages) noexcept;
    template <typename Visit>
    static void for_blocks_on(const Span& span, std::uint64_t page, Visit visit) noexcept;

    std::array<List, std::size_t{2} * kFullnesses> lists_;
    std::array<Span*, kYoung> young_{};  // the last spans added, as a ring
    std::size_t added_ = 0;
    Span* kept_ = nullptr;  // an empty span kept for the next blocks; on no list
};

}  // namespace faultline::heap
