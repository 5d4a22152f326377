// PageLife: what each page of a heap is to its blocks. Fresh: zeros, nothing was ever there, or it was discarded. Live:
// at least one block on it is handed out. Dead: none is any more, its bytes are of no use, but it may still have a
// frame or space in the store. The pager looks at `dead` when it evicts, and drops such a page without writing it.
//
//     fresh -> live (handed out) -> dead (last block freed) -> live again, or -> fresh (discarded)
#pragma once

#include "core/page_range.hpp"
#include "core/units.hpp"
#include "heap/atomic_bits.hpp"
#include "pager/region/region_owner.hpp"

#include <atomic>
#include <cstdint>

namespace faultline::heap {

/// Whoever holds what a page belongs to (its size class's lock, or the page itself, off all lists) changes its state.
class PageLife final : public detail::RegionOwner {
public:
    explicit PageLife(std::uint64_t pages)
        : touched_{pages, "which pages of a heap were used"}, dead_{pages, "which pages of a heap are dead"} {}

    /// -> live, before a block on the pages is handed out: who writes to a page has been preceded by this.
    void live(core::PageRange pages) noexcept {
        touched_.set(pages.first, pages.count);
        count_dead(0, dead_.clear(pages.first, pages.count));
    }
    /// live -> dead.
    void died(core::PageRange pages) noexcept { count_dead(dead_.set(pages.first, pages.count), 0); }
    /// dead -> fresh, after the pager has discarded them.
    void discarded(core::PageRange pages) noexcept {
        count_dead(0, dead_.clear(pages.first, pages.count));
        touched_.clear(pages.first, pages.count);
    }

    [[nodiscard]] bool is_dead(std::uint64_t page) const FAULTLINE_SIGNAL_SAFE override { return dead_.test(page); }
    [[nodiscard]] bool is_fresh(std::uint64_t page) const noexcept { return !touched_.test(page); }

    /// The first run of dead pages in [from, end), at most `most` long; of no pages where there is none.
    [[nodiscard]] core::PageRange next_dead(std::uint64_t from, std::uint64_t end, std::uint64_t most) const noexcept {
        const std::uint64_t first = dead_.next_set(from, end);
        return {first, dead_.next_clear(first, std::min(end, first + most)) - first};
    }
    /// The same for pages that are not fresh.
    [[nodiscard]] core::PageRange next_touched(std::uint64_t from, std::uint64_t end) const noexcept {
        const std::uint64_t first = touched_.next_set(from, end);
        return {first, touched_.next_clear(first, end) - first};
    }

    /// How many pages of a range are fresh.
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

    AtomicBits touched_;
    AtomicBits dead_;
    std::atomic<std::uint64_t> dead_pages_{0};
};

}  // namespace faultline::heap
