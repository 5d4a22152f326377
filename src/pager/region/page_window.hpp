// PageWindow: pages of a region that are claimed, and come in, together.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace faultline::pager {

/// Up to 64 neighbouring pages of which some are claimed: a bit each, the lowest for `first`.
struct PageWindow {
    static constexpr std::uint64_t kMost = 64;

    std::uint64_t first;
    std::uint64_t mask;

    [[nodiscard]] std::size_t count() const noexcept { return static_cast<std::size_t>(std::popcount(mask)); }
    /// Returns the number of pages from `first` to the last claimed one.
    [[nodiscard]] std::size_t span() const noexcept { return static_cast<std::size_t>(std::bit_width(mask)); }
    /// Returns the bit of one of the 64 pages.
    [[nodiscard]] std::uint64_t bit_of(std::uint64_t page) const noexcept { return std::uint64_t{1} << (page - first); }
    [[nodiscard]] PageWindow without(std::uint64_t page) const noexcept { return {first, mask & ~bit_of(page)}; }
    /// Returns the first claimed page.
    [[nodiscard]] std::uint64_t lowest() const noexcept {
        return first + static_cast<std::uint64_t>(std::countr_zero(mask));
    }
    /// Returns a window of the same pages that begins with the first claimed one.
    [[nodiscard]] PageWindow trimmed() const noexcept { return {lowest(), mask >> std::countr_zero(mask)}; }
    /// Returns the run of claimed pages without a gap that contains `page`, which is claimed.
    [[nodiscard]] PageWindow run_around(std::uint64_t page) const noexcept {
        const auto at = static_cast<unsigned>(page - first);
        const auto after = static_cast<unsigned>(std::countr_one(mask >> at));
        const auto before = static_cast<unsigned>(std::countl_one(mask << (63 - at))) - 1;
        const std::uint64_t run = ~std::uint64_t{0} >> (64 - (before + after));
        return {first, run << (at - before)};
    }
    template <typename Visit>
    void for_each(Visit visit) const {
        for (std::uint64_t left = mask; left != 0; left &= left - 1) {
            visit(first + static_cast<std::uint64_t>(std::countr_zero(left)));
        }
    }
    /// The same by runs of neighbours: visit(first, count).
    template <typename Visit>
    void for_each_run(Visit visit) const {
        for (std::uint64_t left = mask; left != 0;) {
            const auto at = static_cast<unsigned>(std::countr_zero(left));
            const auto count = static_cast<unsigned>(std::countr_one(left >> at));
            visit(first + at, std::uint64_t{count});
            left &= count < 64 ? ~(((std::uint64_t{1} << count) - 1) << at) : 0;
        }
    }
};

}  // namespace faultline::pager
