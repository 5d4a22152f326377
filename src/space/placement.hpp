// Address arithmetic for placing a space: random addresses, and the limits of user addresses on x86-64. It reserves
// nothing: Space tries the addresses, and explains others. Used by the control path only.
#pragma once

#include "core/units.hpp"

#include <cstddef>
#include <cstdint>

namespace faultline::space {

/// Returns whether the CPU accepts `address`: bits 47 to 63 are equal.
[[nodiscard]] constexpr bool is_canonical(std::uintptr_t address) noexcept {
    const std::uintptr_t top = address >> 47;
    return top == 0 || top == 0x1ffff;
}
/// Returns whether a program can have `address`.
[[nodiscard]] constexpr bool is_user(std::uintptr_t address) noexcept { return address < core::kUserAddressEnd; }

/// Throws std::system_error (EINVAL) unless all of [address, address + bytes) are user addresses.
void require_user_range(std::uintptr_t address, std::size_t bytes);

/// Returns `bits` random bits from the kernel. Throws std::system_error if it has none.
[[nodiscard]] std::uint64_t random_bits(unsigned bits);

/// Returns one of 2^bits random addresses from `lowest` on, 4 KiB apart.
[[nodiscard]] inline std::uintptr_t random_address(std::uintptr_t lowest, unsigned bits) {
    return lowest + (random_bits(bits) << core::kUnitShift);
}

}  // namespace faultline::space
