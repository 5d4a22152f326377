// AddressRange: the addresses [begin, end). It does not say what is mapped there. Ranges of pages by index are
// core::PageRange.
#pragma once

#include <cstddef>
#include <cstdint>

namespace faultline::core {

struct AddressRange {
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;

    [[nodiscard]] constexpr std::size_t bytes() const noexcept { return end - begin; }
    [[nodiscard]] constexpr bool empty() const noexcept { return begin >= end; }
    [[nodiscard]] constexpr bool contains(std::uintptr_t address) const noexcept {
        return address >= begin && address < end;
    }
    [[nodiscard]] constexpr bool contains(AddressRange other) const noexcept {
        return other.begin >= begin && other.end <= end;
    }
    /// Returns the part of this range in `other`; an empty range if they share no address.
    [[nodiscard]] constexpr AddressRange part_in(AddressRange other) const noexcept {
        const AddressRange part{begin > other.begin ? begin : other.begin, end < other.end ? end : other.end};
        return part.empty() ? AddressRange{} : part;
    }
    [[nodiscard]] constexpr bool overlaps(AddressRange other) const noexcept { return !part_in(other).empty(); }
    friend constexpr bool operator==(AddressRange, AddressRange) noexcept = default;
};

}  // namespace faultline::core
