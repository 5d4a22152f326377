// PageRange: a run of pages of one region, [first, first + count), by index. It does not name the region.
#pragma once

#include <cstdint>

namespace faultline::core {

struct PageRange {
    std::uint64_t first = 0;
    std::uint64_t count = 0;

    [[nodiscard]] constexpr std::uint64_t end() const noexcept { return first + count; }
};

}  // namespace faultline::core
