// PageSet: a set of a region's pages, one bit per page. The bits are reserved address space; memory is taken only where
// pages are inserted. The owner of a set decides what membership means. The pager keeps its per-page hints in such
// sets.
#pragma once

#include "core/page_range.hpp"
#include "core/signal_safe.hpp"
#include "sys/lazy_array.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>

namespace faultline::table {

/// Any thread may call any function at any time. Each word of 64 pages changes atomically; a range does not.
class PageSet {
public:
    /// Constructs an empty set of pages below `pages`. Throws std::system_error (ENOMEM).
    explicit PageSet(std::uint64_t pages) : pages_{pages}, bits_{pages / kPerWord + 1, "a set of pages"} {}

    [[nodiscard]] bool contains(std::uint64_t page) const FAULTLINE_SIGNAL_SAFE {
        return (bits_[page / kPerWord].load(std::memory_order_acquire) >> (page % kPerWord) & 1U) != 0;
    }
    /// Adds the range. Writes only the words that change, so that a repeated call takes no memory and no cache line.
    void insert(core::PageRange range) const FAULTLINE_SIGNAL_SAFE {
        for_each_word(range, [](std::atomic<std::uint64_t>& word, std::uint64_t mask) {
            if ((word.load(std::memory_order_relaxed) & mask) != mask) word.fetch_or(mask);
        });
    }
    void erase(core::PageRange range) const FAULTLINE_SIGNAL_SAFE {
        for_each_word(range, [](std::atomic<std::uint64_t>& word, std::uint64_t mask) {
            if ((word.load(std::memory_order_relaxed) & mask) != 0) word.fetch_and(~mask);
        });
    }

    [[nodiscard]] bool contains_any(core::PageRange range) const FAULTLINE_SIGNAL_SAFE {
        bool found = false;
        for_each_word(range, [&](const std::atomic<std::uint64_t>& word, std::uint64_t mask) {
            found |= (word.load(std::memory_order_acquire) & mask) != 0;
        });
        return found;
    }

    /// Calls `visit(range)` for each run of pages in the set, in order.
    template <typename Visit>
    void for_each_run(Visit visit) const {
        for (std::uint64_t page = next(0, true); page < pages_;) {
            const std::uint64_t end = next(page, false);
            visit(core::PageRange{page, end - page});
            page = next(end, true);
        }
    }

private:
    static constexpr std::uint64_t kPerWord = 64;

    template <typename Change>
    void for_each_word(core::PageRange range, Change change) const FAULTLINE_SIGNAL_SAFE {
        for (std::uint64_t page = range.first; page < range.end();) {
            const std::uint64_t first = page % kPerWord;
            const std::uint64_t count = std::min(kPerWord - first, range.end() - page);
            const std::uint64_t ones = count == kPerWord ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1;
            change(bits_[page / kPerWord], ones << first);
            page += count;
        }
    }

    /// Returns the first page >= `page` whose membership equals `in`, or the number of pages.
    [[nodiscard]] std::uint64_t next(std::uint64_t page, bool in) const noexcept {
        while (page < pages_) {
            const std::uint64_t word = bits_[page / kPerWord].load(std::memory_order_acquire);
            const std::uint64_t wanted = (in ? word : ~word) >> (page % kPerWord);
            if (wanted != 0) return std::min(page + static_cast<std::uint64_t>(std::countr_zero(wanted)), pages_);
            page = (page / kPerWord + 1) * kPerWord;
        }
        return pages_;
    }

    std::uint64_t pages_;
    sys::LazyArray<std::atomic<std::uint64_t>> bits_;
};

}  // namespace faultline::table
