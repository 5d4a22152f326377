// Where an address space goes: random places, and what addresses a program can have at all.
#pragma once

#include "core/units.hpp"

#include <cstddef>
#include <cstdint>

namespace faultline::space {

/// Bits 47 to 63 are alike: the CPU takes it for an address.
[[nodiscard]] constexpr bool is_canonical(std::uintptr_t address) noexcept {
    const std::uintptr_t top = address >> 47;
    return top == 0 || top == 0x1ffff;
}
/// In the half of the addresses that a program can have.
[[nodiscard]] constexpr bool is_user(std::uintptr_t address) noexcept { return address < core::kUserAddressEnd; }

/// Throws std::system_error with EINVAL unless all of [address, address + bytes) can belong to a program.
void require_user_range(std::uintptr_t address, std::size_t bytes);

/// `bits` random bits, from the kernel.
[[nodiscard]] std::uint64_t random_bits(unsigned bits);

/// One of 2^bits places from `lowest` on, 4 KiB apart.
[[nodiscard]] inline std::uintptr_t random_place(std::uintptr_t lowest, unsigned bits) {
    return lowest + (random_bits(bits) << core::kUnitShift);
}

}  // namespace faultline::space
