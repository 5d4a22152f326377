// Arithmetic on addresses and sizes, used by every layer: the unit of 4 KiB, the end of the user addresses, rounding,
// and conversions between pointers and integers. It has no state and makes no system call.
#pragma once

#include <faultline/types.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>

namespace faultline::core {

/// Size of a unit in bytes: what the MMU maps and the frame budget counts. A page of a region is one or more units.
inline constexpr std::size_t kUnitBytes = kBasePageBytes;
inline constexpr std::size_t kUnitShift = 12;
static_assert(std::size_t{1} << kUnitShift == kUnitBytes);

/// End of the user addresses on x86-64 with four-level page tables, in bytes.
inline constexpr std::uint64_t kUserAddressEnd = std::uint64_t{1} << 47;

template <typename T>
constexpr T align_down(T value, T alignment) noexcept {
    return value & ~(alignment - 1);
}

template <typename T>
constexpr T align_up(T value, T alignment) noexcept {
    return align_down(value + alignment - 1, alignment);
}

inline std::uintptr_t address_of(const void* pointer) noexcept { return reinterpret_cast<std::uintptr_t>(pointer); }
inline std::byte* pointer_to(std::uintptr_t address) noexcept {
    return reinterpret_cast<std::byte*>(address);  // NOLINT: the address of a mapping is a number
}

}  // namespace faultline::core
