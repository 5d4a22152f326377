// HeapPages: the pages of one heap's reservation, and the span that each page belongs to. It hands out runs of pages,
// each with a Span record, and asks the store for room first. It locks its own lists. It knows addresses, but no
// blocks: what is inside a span is up to CentralSpans and LargeBlocks.
#pragma once

#include "core/page_range.hpp"
#include "heap/page_life.hpp"
#include "heap/page_runs.hpp"
#include "heap/record_pool.hpp"
#include "heap/span.hpp"
#include "pager/owned_region.hpp"
#include "pager/pager.hpp"
#include "sys/futex_lock.hpp"
#include "sys/lazy_array.hpp"

#include <boost/intrusive/set.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>

namespace faultline::heap {

class HeapPages {
public:
    /// Reserves `bytes` of addresses. Throws std::system_error.
    HeapPages(std::shared_ptr<pager::Pager> pager, std::size_t bytes);
    ~HeapPages();
    HeapPages(const HeapPages&) = delete;
    HeapPages& operator=(const HeapPages&) = delete;

    [[nodiscard]] pager::Region& region() const noexcept { return region_->region(); }
    /// Destroys the region. Throws EBUSY while a page is pinned. Afterwards only the destructor may be called.
    void destroy_region();
    /// True in the process that reserved the pages, and in a child of fork that has inherited them.
    [[nodiscard]] bool in_owner_process() const noexcept { return pager_.in_owner_process(); }

    [[nodiscard]] std::byte* base() const noexcept { return base_; }
    [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
    [[nodiscard]] std::byte* address_of(std::uint64_t page) const noexcept {
        return base_ + (page << core::kUnitShift);
    }
    /// Returns a value of at least bytes() if the address is outside the reservation.
    [[nodiscard]] std::uint64_t offset_of(const void* address) const noexcept {
        return core::address_of(address) - core::address_of(base_);
    }
    [[nodiscard]] PageLife& life() noexcept { return life_; }
    [[nodiscard]] const PageLife& life() const noexcept { return life_; }

    /// Returns the span of the page at `offset` (below bytes()); a span of kind `none` if the page is in no span. For a
    /// large block only its first page is recorded. No lock: safe for pages of a live block.
    [[nodiscard]] const Span& span_at(std::uint64_t offset) const noexcept {
        return spans_[span_of_page_[offset >> core::kUnitShift].load(std::memory_order_relaxed)];
    }
    [[nodiscard]] Span& span_at(std::uint64_t offset) noexcept {
        return spans_[span_of_page_[offset >> core::kUnitShift].load(std::memory_order_relaxed)];
    }

    /// The span of a page at the time of the call. For a large block only its first page is recorded.
    struct Owner {
        Span* span;
        SpanKind kind;
        SizeClass size_class;
        Shard shard;
        core::PageRange pages;
    };
    [[nodiscard]] Owner owner_of(std::uint64_t page) noexcept;

    // ---- spans of blocks

    /// Allocates the pages of a span of `shard` from the brk area. Returns null if there are no pages, or the store has
    /// no room for them.
    [[nodiscard]] Span* new_span(SizeClass size_class, Shard shard) noexcept;
    /// Frees the pages of a span. The caller holds the lock of the span's class.
    void free_span(Span& span) noexcept;

    // ---- large blocks

    /// Allocates the pages of a large block from the mapping area, at a multiple of `alignment` pages. Reserves room to
    /// grow to `reserved` pages if there is any. The caller marks the pages live. Returns null like new_span.
    [[nodiscard]] Span* new_large(std::uint64_t pages, std::uint64_t alignment, std::uint64_t reserved) noexcept;
    void free_large(Span& span) noexcept;
    /// Grows a large block in place. Returns false if there is no room. The caller marks the new pages live.
    [[nodiscard]] bool grow_large(Span& span, std::uint64_t pages) noexcept;
    void shrink_large(Span& span, std::uint64_t pages) noexcept;

    /// Returns the large block that contains `offset`, or null.
    [[nodiscard]] const Span* large_around(std::uint64_t offset) const noexcept;

    // ---- free pages

    /// Remove a free run from the lists while the caller discards its pages: the run around `page`, the run at an
    /// area's frontier, or up to `most` pages beyond the frontier.
    [[nodiscard]] std::optional<core::PageRange> hold_run_around(std::uint64_t page) noexcept;
    [[nodiscard]] std::optional<core::PageRange> hold_run_at_frontier(Area area) noexcept;
    [[nodiscard]] core::PageRange hold_beyond_frontier(Area area, std::uint64_t most) noexcept;
    /// Puts such a run back. `fresh`: all its pages were discarded; the break or the floor of the mapping area may
    /// retreat.
    void release_run(core::PageRange run, bool fresh) noexcept;

    struct Figures {
        std::uint64_t break_bytes;    ///< From the begin of the reservation to the break.
        std::uint64_t mapping_bytes;  ///< From the mapping area's floor to the end of the reservation.
        std::uint64_t free_below;     ///< Of break_bytes: in no span.
        std::uint64_t free_above;     ///< Of mapping_bytes: in no block.
        std::uint64_t large_blocks;
        std::uint64_t large_bytes;
        std::uint64_t reserved_bytes;  ///< Kept for large blocks to grow into.
    };
    [[nodiscard]] Figures figures() noexcept;

    /// Returns the break and the floor, as pages: pages in use are below the first, or not below the second.
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
    void release_reserves() noexcept;
    void set_span_of_pages(core::PageRange pages, std::uint32_t span) noexcept;

    pager::Pager& pager_;
    std::shared_ptr<pager::OwnedRegion> region_;  // null after destroy_region
    std::byte* base_;
    std::uint64_t bytes_;
    PageLife life_;
    sys::LazyArray<std::atomic<std::uint32_t>> span_of_page_;  // number of the span; 0: none
    RecordPool<Span> spans_;
    mutable sys::FutexLock mutex_;  // guards what follows, and the free list of spans_
    PageRuns runs_;
    LargeBlocks large_;
    std::uint64_t large_pages_ = 0;
    std::uint64_t reserved_pages_ = 0;  // kept for large blocks to grow into
    // Changed with mutex_ held; read without it, relaxed.
    std::atomic<std::uint64_t> committed_pages_{0};     // in spans and large blocks
    std::atomic<std::uint64_t> next_room_check_at_{0};  // committed pages at which to ask the store again
};

}  // namespace faultline::heap
