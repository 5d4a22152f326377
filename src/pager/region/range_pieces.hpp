// Helpers of control calls on ranges of pages.
#pragma once

#include "core/page_range.hpp"
#include "pager/region/region.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>

namespace faultline::pager {

/// Calls `visit(piece)` for pieces of a range, so that the caller need not block signals, or be a reader, for all of
/// it.
template <typename Visit>
void for_each_piece(core::PageRange range, Visit visit) {
    constexpr std::uint64_t kPages = 4096;
    for (std::uint64_t first = range.first; first < range.end(); first += kPages) {
        visit(core::PageRange{first, std::min(kPages, range.end() - first)});
    }
}

/// Blocks until each page of the range has had no owner (filling, evicting) for a moment. A thread that brought a page
/// in may still own it when another thread already uses it.
inline void wait_until_unowned(const Region& region, core::PageRange range) {
    region.table().for_each_touched(range, [&](std::uint64_t page) {
        static_cast<void>(region.wait_and_claim(page, [](core::PageWord) { return std::optional<core::PageWord>{}; }));
    });
}

/// Returns true if a page of the range is pinned.
[[nodiscard]] inline bool any_pinned(const Region& region, core::PageRange range) {
    bool pinned = false;
    region.table().for_each_touched(range, [&](std::uint64_t page) { pinned |= region.load(page).pins() > 0; });
    return pinned;
}

/// Changes the words of a range to `edge(word)`, whether a thread owns the pages or not.
template <typename Edge>
void change_words(const Region& region, core::PageRange range, Edge edge) {
    const auto change = [&](core::PageWord word) {
        const core::PageWord next = edge(word);
        return next != word ? std::optional{next} : std::nullopt;
    };
    for (std::uint64_t page = range.first; page < range.end(); ++page) region.update_if(page, change);
}

}  // namespace faultline::pager
