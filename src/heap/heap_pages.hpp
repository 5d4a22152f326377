// HeapPages: the pages of one heap's reservation, and which span each belongs to. Hands out runs of pages with a record
// of the span that they become; knows addresses, locks its own lists, and asks the store for room. What is in a span is
// others' business.
#pragma once

#include "core/page_range.hpp"
#include "heap/page_life.hpp"
#include "heap/page_runs.hpp"
#include "heap/record_pool.hpp"
#include "heap/span.hpp"
#include "pager/pager.hpp"
#include "sys/futex_lock.hpp"
#include "sys/lazy_array.hpp"

#include <boost/intrusive/set.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>

namespace faultline::heap {

class HeapPages {
public:
    HeapPages(detail::Pager& pager, detail::Region& region);
    HeapPages(const HeapPages&) = delete;
    HeapPages& operator=(const HeapPages&) = delete;

    [[nodiscard]] std::byte* base() const noexcept { return base_; }
    [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
    [[nodiscard]] std::byte* address_of(std::uint64_t page) const noexcept {
        return base_ + (page << core::kUnitShift);
    }
    [[nodiscard]] PageLife& life() noexcept { return life_; }
    [[nodiscard]] const PageLife& life() const noexcept { return life_; }

    /// The span that has a block at `offset`, below bytes(); one of kind `none` where there is no such. Of a large
    /// block, only its first page leads here.
    [[nodiscard]] const Span& span_at(std::uint64_t offset) const noexcept {
        return spans_[span_of_page_[offset >> core::kUnitShift].load(std::memory_order_relaxed)];
    }
    [[nodiscard]] Span& span_at(std::uint64_t offset) noexcept {
        return spans_[span_of_page_[offset >> core::kUnitShift].load(std::memory_order_relaxed)];
    }

    /// What `page` belongs to, at this moment: of a large block, only its first page is known.
    struct Owner {
        Span* span;
        SpanKind kind;
        SizeClass size_class;
        core::PageRange pages;
    };
    [[nodiscard]] Owner owner_of(std::uint64_t page) noexcept;

    // ---- spans of blocks

    /// Pages for a span of a class, from the brk area; null when there are none, or the store has no room for them.
    [[nodiscard]] Span* new_span(SizeClass size_class) noexcept;
    /// The pages can be used for anything else. The lock of the span's class is held.
    void free_span(Span& span) noexcept;

    // ---- large blocks

    /// Pages for a large block, from the mapping area, at a multiple of `alignment` pages, with room to grow to
    /// `reserved` pages if there is. They are not live yet. Null as above.
    [[nodiscard]] Span* new_large(std::uint64_t pages, std::uint64_t alignment, std::uint64_t reserved) noexcept;
    void free_large(Span& span) noexcept;
    /// Makes a large block longer where it is. False: there is no room. The new pages are not live yet.
    [[nodiscard]] bool grow_large(Span& span, std::uint64_t pages) noexcept;
    void shrink_large(Span& span, std::uint64_t pages) noexcept;

    /// The large block that `offset` lies in, or null.
    [[nodiscard]] const Span* large_around(std::uint64_t offset) noexcept;

    // ---- free pages

    /// Takes the free run around `page` off the lists, while somebody discards it.
    [[nodiscard]] std::optional<core::PageRange> hold_run_around(std::uint64_t page) noexcept;
    [[nodiscard]] std::optional<core::PageRange> hold_run_at_frontier(Area area) noexcept;
    [[nodiscard]] core::PageRange hold_beyond_frontier(Area area, std::uint64_t most) noexcept;
    /// Gives it back. `fresh`: all of it has been discarded; the break or the mapping area's floor may retreat.
    void let_run_go(core::PageRange run, bool fresh) noexcept;

    struct Figures {
        std::uint64_t break_bytes;    ///< From the begin of the reservation to the break.
        std::uint64_t mapping_bytes;  ///< From the mapping area's floor to the end of the reservation.
        std::uint64_t free_below;     ///< Of the first, in no span.
        std::uint64_t free_above;     ///< Of the second.
        std::uint64_t large_blocks;
        std::uint64_t large_bytes;
        std::uint64_t reserved_bytes;  ///< Kept for large blocks to grow into.
    };
    [[nodiscard]] Figures figures() noexcept;

    /// Every number of a page that may be in use is below the first or not below the second.
    [[nodiscard]] std::pair<std::uint64_t, std::uint64_t> frontiers() noexcept;

private:
    struct BeginOf {
        using type = std::uint64_t;
        std::uint64_t operator()(const Span& span) const noexcept { return span.begin; }
    };
    using LargeBlocks = boost::intrusive::set<
        Span, boost::intrusive::key_of_value<BeginOf>,
        boost::intrusive::member_hook<Span, boost::intrusive::set_member_hook<Unchecked>, &Span::by_address>>;

    [[nodiscard]] bool room_for(std::uint64_t pages) noexcept;

    // Called with mutex_ held.
    [[nodiscard]] std::optional<core::PageRange> take(Area area, std::uint64_t pages, std::uint64_t alignment);
    void give_up_reserves() noexcept;
    void name_pages(core::PageRange pages, std::uint32_t span) noexcept;

    detail::Pager& pager_;
    detail::Region& region_;
    std::byte* base_;
    std::uint64_t bytes_;
    PageLife life_;
    sys::LazyArray<std::atomic<std::uint32_t>> span_of_page_;  // 0: none
    RecordPool<Span> spans_;
    sys::FutexLock mutex_;  // guards what follows, and spans_' list
    PageRuns runs_;
    LargeBlocks large_;
    std::uint64_t large_pages_ = 0;
    std::uint64_t reserved_pages_ = 0;  // beyond those
    // Changed with the lock held, read without.
    std::atomic<std::uint64_t> committed_pages_{0};  // in spans and large blocks
    std::atomic<std::uint64_t> look_again_at_{0};    // committed pages at which to ask the store again
};

}  // namespace faultline::heap
