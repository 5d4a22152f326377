// Whole pages of a space's addresses: conversions of a caller's range to them.
#pragma once

#include "space/segment.hpp"

#include <cstddef>
#include <cstdint>

namespace faultline::space {

/// Returns the addresses in both ranges, which overlap.
[[nodiscard]] AddressRange intersection(AddressRange one, AddressRange other) noexcept;

/// Rounds a size up to whole pages.
[[nodiscard]] std::size_t whole_pages(std::size_t bytes) noexcept;

/// Returns the pages that [address, address + bytes) touches.
[[nodiscard]] AddressRange pages_touched(std::uintptr_t address, std::size_t bytes) noexcept;

/// Returns the whole pages of the range. Throws EINVAL for an empty range, one that does not begin at a page, and
/// addresses that no program can have. `purpose`: a verb, for the message.
[[nodiscard]] AddressRange checked_range(std::uintptr_t address, std::size_t bytes, const char* purpose);

}  // namespace faultline::space
