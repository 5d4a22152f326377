// PageRange and UnitRange: runs of pages, or of 4 KiB units, of one region or file, [first, first + count), by index.
// A range does not name the region, and does not check that the region has these pages. Control calls, the heap and
// address spaces name pages by PageRange. Ranges of addresses are core::AddressRange.
#pragma once

#include <cstdint>

namespace faultline::core {

/// `Of` tells pages from units, so that one is not passed for the other.
template <typename Of>
struct IndexRange {
    std::uint64_t first = 0;
    std::uint64_t count = 0;

    [[nodiscard]] constexpr std::uint64_t end() const noexcept { return first + count; }
    [[nodiscard]] constexpr bool empty() const noexcept { return count == 0; }
    [[nodiscard]] constexpr bool contains(std::uint64_t index) const noexcept { return index - first < count; }
    friend constexpr bool operator==(IndexRange, IndexRange) noexcept = default;
};

using PageRange = IndexRange<struct OfPages>;
using UnitRange = IndexRange<struct OfUnits>;

}  // namespace faultline::core
