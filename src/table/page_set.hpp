// PageSet: a set of a region's pages, one bit per page. Memory is taken only where pages are inserted. The owner of a
// set decides what membership means: a region with gaps keeps its open pages in one, the preload its locked pages.
#pragma once

#include "core/page_range.hpp"
#include "core/signal_safe.hpp"
#include "sys/atomic_bits.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace faultline::table {

/// Any thread may call any function at any time. Each word of 64 pages changes atomically; a range does not.
class PageSet {
public:
    /// Constructs an empty set of pages below `pages`. Throws std::system_error (ENOMEM).
    explicit PageSet(std::uint64_t pages) : bits_{pages, "a set of pages"} {}

    [[nodiscard]] bool contains(std::uint64_t page) const FAULTLINE_SIGNAL_SAFE { return bits_.test(page); }
    [[nodiscard]] bool contains_any(core::PageRange range) const FAULTLINE_SIGNAL_SAFE {
        return bits_.next_set(range.first, range.end()) != range.end();
    }

    /// Returns the first run of pages of `range` that are in the set; an empty run if there is none.
    [[nodiscard]] core::PageRange first_run(core::PageRange range) const FAULTLINE_SIGNAL_SAFE {
        const std::uint64_t first = bits_.next_set(range.first, range.end());
        return {first, bits_.next_clear(first, range.end()) - first};
    }

    void insert(core::PageRange range) const FAULTLINE_SIGNAL_SAFE {
        if (range.count == 0) return;
        lower(first_, range.first);
        raise(end_, range.end());
        bits_.set(range.first, range.count);
    }
    void erase(core::PageRange range) const FAULTLINE_SIGNAL_SAFE { bits_.clear(range.first, range.count); }

    /// Calls `visit(range)` for each run of pages in the set, in order. Looks only between the lowest and the highest
    /// page that were ever inserted: a set may have billions of pages.
    template <typename Visit>
    void for_each_run(Visit visit) const {
        const std::uint64_t pages = end_.load();
        for (std::uint64_t page = bits_.next_set(std::min(first_.load(), pages), pages); page < pages;) {
            const std::uint64_t end = bits_.next_clear(page, pages);
            visit(core::PageRange{page, end - page});
            page = bits_.next_set(end, pages);
        }
    }

private:
    static void lower(std::atomic<std::uint64_t>& bound, std::uint64_t to) FAULTLINE_SIGNAL_SAFE {
        std::uint64_t seen = bound.load();
        while (to < seen && !bound.compare_exchange_weak(seen, to)) {
        }
    }
    static void raise(std::atomic<std::uint64_t>& bound, std::uint64_t to) FAULTLINE_SIGNAL_SAFE {
        std::uint64_t seen = bound.load();
        while (to > seen && !bound.compare_exchange_weak(seen, to)) {
        }
    }

    sys::AtomicBits bits_;
    // Every page that was ever inserted is in [first_, end_). Set before the page's bit.
    mutable std::atomic<std::uint64_t> first_{UINT64_MAX};
    mutable std::atomic<std::uint64_t> end_{0};
};

}  // namespace faultline::table
