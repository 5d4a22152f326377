// PageLife: the state of each page of a heap as its blocks see it. It does not know spans or frames.
//
//   fresh  zeros: never used, or discarded
//   live   at least one block on the page is handed out
//   dead   no block is handed out any more. The bytes are of no use, but may still have a frame or space in the store.
//          The pager reads these bits when it evicts, and drops a dead page without writing it
//
//     fresh -> live (handed out) -> dead (last block freed) -> live again, or -> fresh (discarded)
#pragma once

#include "core/page_range.hpp"
#include "core/units.hpp"
#include "pager/region/region_owner.hpp"
#include "sys/atomic_bits.hpp"

#include <atomic>
#include <cstdint>

namespace faultline::heap {

/// Whether an allocation must return zeros.
enum class Zeroed : bool { no, yes };

/// The thread that holds the page changes its state: it holds the lock of the page's size class, or has taken the page
/// off all lists. The pager asks `is_dead` when it evicts.
class PageLife final : public pager::RegionOwner {
public:
    explicit PageLife(std::uint64_t pages)
        : touched_{pages, "which pages of a heap were used"}, dead_{pages, "which pages of a heap are dead"} {}

    /// -> live. Call before handing out a block on these pages: a thread may write to them from then on.
    void mark_live(core::PageRange pages) noexcept {
        touched_.set(pages.first, pages.count);
        count_dead(0, dead_.clear(pages.first, pages.count));
    }
    /// live -> dead.
    void mark_dead(core::PageRange pages) noexcept { count_dead(dead_.set(pages.first, pages.count), 0); }
    /// dead -> fresh. Call after the pager has discarded the pages.
    void mark_discarded(core::PageRange pages) noexcept {
        count_dead(0, dead_.clear(pages.first, pages.count));
        touched_.clear(pages.first, pages.count);
    }

    [[nodiscard]] bool is_dead(std::uint64_t page) const FAULTLINE_SIGNAL_SAFE override { return dead_.test(page); }
    /// Many frames are free after a program has freed most of its blocks. The rest lies scattered over many pages.
    [[nodiscard]] bool reads_blocks() const FAULTLINE_SIGNAL_SAFE override { return true; }
    [[nodiscard]] bool is_fresh(std::uint64_t page) const noexcept { return !touched_.test(page); }

    /// Returns the first run of dead pages in [from, end), at most `most` pages long; an empty range if there is none.
    [[nodiscard]] core::PageRange next_dead(std::uint64_t from, std::uint64_t end, std::uint64_t most) const noexcept {
        const std::uint64_t first = dead_.next_set(from, end);
        return {first, dead_.next_clear(first, std::min(end, first + most)) - first};
    }
    /// The same for pages that are not fresh, of any length.
    [[nodiscard]] core::PageRange next_touched(std::uint64_t from, std::uint64_t end) const noexcept {
        const std::uint64_t first = touched_.next_set(from, end);
        return {first, touched_.next_clear(first, end) - first};
    }

    [[nodiscard]] std::uint64_t fresh_in(core::PageRange pages) const noexcept {
        std::uint64_t fresh = pages.count;
        for (core::PageRange used = next_touched(pages.first, pages.end()); used.count > 0;
             used = next_touched(used.end(), pages.end())) {
            fresh -= used.count;
        }
        return fresh;
    }

    [[nodiscard]] std::uint64_t dead_bytes() const noexcept {
        return dead_pages_.load(std::memory_order_relaxed) << core::kUnitShift;
    }

private:
    void count_dead(std::uint64_t more, std::uint64_t fewer) noexcept {
        if (more != fewer) dead_pages_.fetch_add(more - fewer, std::memory_order_relaxed);
    }

    sys::AtomicBits touched_;
    sys::AtomicBits dead_;
    std::atomic<std::uint64_t> dead_pages_{0};
};

}  // namespace faultline::heap
