// AddressRange: whole pages of a space's addresses, and the conversions of a caller's range to them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace faultline::space {

/// The addresses [begin, end): whole pages.
struct AddressRange {
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
    [[nodiscard]] std::size_t bytes() const noexcept { return end - begin; }
    [[nodiscard]] bool contains(std::uintptr_t address) const noexcept { return address >= begin && address < end; }
    [[nodiscard]] bool contains(AddressRange other) const noexcept { return other.begin >= begin && other.end <= end; }
    /// Returns the addresses in both ranges, which overlap.
    [[nodiscard]] AddressRange intersection(AddressRange other) const noexcept {
        return {begin > other.begin ? begin : other.begin, end < other.end ? end : other.end};
    }
};

/// Rounds a size up to whole pages.
[[nodiscard]] std::size_t whole_pages(std::size_t bytes) noexcept;

/// Returns the pages that [address, address + bytes) touches.
[[nodiscard]] AddressRange pages_touched(std::uintptr_t address, std::size_t bytes) noexcept;

/// Returns the whole pages of the range. Throws EINVAL for an empty range, one that does not begin at a page, and
/// addresses that no program can have. `purpose`: a verb, for the message.
[[nodiscard]] AddressRange checked_range(std::uintptr_t address, std::size_t bytes, const char* purpose);

}  // namespace faultline::space
