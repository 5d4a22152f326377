// PageWindow: pages of a region that are claimed, and come in, together.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace faultline::detail {

/// Up to 64 neighbouring pages of which some are claimed: a bit each, the lowest for `first`.
struct PageWindow {
    std::uint64_t first;
    std::uint64_t mask;

    [[nodiscard]] std::size_t count() const noexcept { return static_cast<std::size_t>(std::popcount(mask)); }
    /// Pages from `first` to the last claimed one.
    [[nodiscard]] std::size_t span() const noexcept { return static_cast<std::size_t>(std::bit_width(mask)); }
    [[nodiscard]] PageWindow without_first() const noexcept { return {first, mask & ~std::uint64_t{1}}; }
    template <typename Visit>
    void for_each(Visit visit) const {
        for (std::uint64_t left = mask; left != 0; left &= left - 1) {
            visit(first + static_cast<std::uint64_t>(std::countr_zero(left)));
        }
    }
};

}  // namespace faultline::detail
