// PageSet: a set of a region's pages, one bit per page. Memory is taken only where pages are inserted. The owner of a
// set decides what membership means: a region with gaps keeps its open pages in one, the preload its locked pages.
#pragma once

#include "core/page_range.hpp"
#include "core/signal_safe.hpp"
#include "core/units.hpp"
#include "sys/atomic_bits.hpp"

#include <algorithm>
#include <cstdint>

namespace faultline::table {

/// Any thread may call any function at any time. Each word of 64 pages changes atomically; a range does not.
/// Searches skip parts of the set that never held a page: 32,768 pages at a time.
class PageSet {
public:
    /// Constructs an empty set of pages below `pages`. Throws std::system_error (ENOMEM).
    explicit PageSet(std::uint64_t pages)
        : bits_{pages, "a set of pages"}, marks_{pages / kPerMark + 1, "a set of pages"} {}

    [[nodiscard]] bool contains(std::uint64_t page) const FAULTLINE_SIGNAL_SAFE { return bits_.test(page); }
    [[nodiscard]] bool contains_any(core::PageRange range) const FAULTLINE_SIGNAL_SAFE {
        return next_in_set(range.first, range.end()) != range.end();
    }

    /// Returns the first run of pages of `range` that are in the set; an empty run if there is none.
    [[nodiscard]] core::PageRange first_run(core::PageRange range) const FAULTLINE_SIGNAL_SAFE {
        const std::uint64_t first = next_in_set(range.first, range.end());
        return {first, bits_.next_clear(first, range.end()) - first};
    }

    void insert(core::PageRange range) const FAULTLINE_SIGNAL_SAFE {
        if (range.count == 0) return;
        const std::uint64_t first = range.first / kPerMark;
        marks_.set(first, (range.end() - 1) / kPerMark + 1 - first);  // first: no search misses a page
        bits_.set(range.first, range.count);
    }
    void erase(core::PageRange range) const FAULTLINE_SIGNAL_SAFE {
        for (std::uint64_t page = next_marked(range.first, range.end()); page < range.end();) {
            const std::uint64_t end = std::min(end_of_mark(page), range.end());
            bits_.clear(page, end - page);
            page = next_marked(end, range.end());
        }
    }

    /// Calls `visit(range)` for each run of pages in the set, in order.
    template <typename Visit>
    void for_each_run(Visit visit) const {
        const std::uint64_t pages = bits_.size();
        for (std::uint64_t page = next_in_set(0, pages); page < pages;) {
            const std::uint64_t end = bits_.next_clear(page, pages);
            visit(core::PageRange{page, end - page});
            page = next_in_set(end, pages);
        }
    }

private:
    // Pages whose bits share 4 KiB of memory.
    static constexpr std::uint64_t kPerMark = core::kUnitBytes * 8;

    [[nodiscard]] static std::uint64_t end_of_mark(std::uint64_t page) noexcept {
        return (page / kPerMark + 1) * kPerMark;
    }

    /// Returns the first page in [from, end) that may be in the set, or `end`.
    [[nodiscard]] std::uint64_t next_marked(std::uint64_t from, std::uint64_t end) const FAULTLINE_SIGNAL_SAFE {
        if (from >= end) return end;
        const std::uint64_t mark = marks_.next_set(from / kPerMark, (end - 1) / kPerMark + 1);
        return std::clamp(mark * kPerMark, from, end);
    }

    /// Returns the first page in [from, end) that is in the set, or `end`.
    [[nodiscard]] std::uint64_t next_in_set(std::uint64_t from, std::uint64_t end) const FAULTLINE_SIGNAL_SAFE {
        for (std::uint64_t page = next_marked(from, end); page < end; page = next_marked(page, end)) {
            const std::uint64_t part_end = std::min(end_of_mark(page), end);
            page = bits_.next_set(page, part_end);
            if (page < part_end) return page;
        }
        return end;
    }

    sys::AtomicBits bits_;
    sys::AtomicBits marks_;  // of each kPerMark pages: whether one was ever inserted
};

}  // namespace faultline::table
