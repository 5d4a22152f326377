// PageRange: a run of pages of one region, [first, first + count), by index. It does not name the region, and does not
// check that the region has these pages. The unit in which control calls, the heap and address spaces name pages.
#pragma once

#include <cstdint>

namespace faultline::core {

struct PageRange {
    std::uint64_t first = 0;
    std::uint64_t count = 0;

    [[nodiscard]] constexpr std::uint64_t end() const noexcept { return first + count; }

    /// Returns the part `index` of `parts` parts of about equal size.
    [[nodiscard]] constexpr PageRange part(std::uint64_t index, std::uint64_t parts) const noexcept {
        // Quotient and remainder separately, so that the product cannot overflow.
        const auto boundary = [&](std::uint64_t at) { return count / parts * at + count % parts * at / parts; };
        return {first + boundary(index), boundary(index + 1) - boundary(index)};
    }
};

}  // namespace faultline::core
