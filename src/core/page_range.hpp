// A run of pages of one region, by index.
#pragma once

#include <cstdint>

namespace faultline::core {

struct PageRange {
    std::uint64_t first = 0;
    std::uint64_t count = 0;

    [[nodiscard]] constexpr std::uint64_t end() const noexcept { return first + count; }
};

}  // namespace faultline::core
