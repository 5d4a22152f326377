// PageRange: a run of pages of one region, [first, first + count), by index. It does not name the region, and does not
// check that the region has these pages. The unit in which control calls, the heap and address spaces name pages.
#pragma once

#include <cstdint>

namespace faultline::core {

struct PageRange {
    std::uint64_t first = 0;
    std::uint64_t count = 0;

    [[nodiscard]] constexpr std::uint64_t end() const noexcept { return first + count; }
};

}  // namespace faultline::core
