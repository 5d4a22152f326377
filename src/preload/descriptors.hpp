// The library's descriptors among the program's: numbers high enough to be in no program's way, and not for the program
// to close. Programs count on the lowest free number, name small ones, and close whatever they did not open. The list
// of them is sys/own_descriptors.hpp's.
#pragma once

#include "sys/own_descriptors.hpp"

#include <climits>
#include <cstdint>

namespace faultline::preload {

/// Puts the library's descriptors at the highest numbers below 1,024 that the program may open, from now on. Where it
/// may open fewer than 96 files they stay among the program's.
void place_descriptors_high() noexcept;

/// For the number in a register: the kernel looks at 32 bits of it.
[[nodiscard]] inline bool is_own_descriptor(std::uint64_t fd) noexcept {
    return sys::is_own_descriptor(static_cast<unsigned>(fd & UINT_MAX));
}

/// close_range(2) without the library's own. Returns 0 or a negated errno. Signal-safe.
[[nodiscard]] long close_range_around_own(unsigned first, unsigned last, unsigned flags) noexcept;

}  // namespace faultline::preload
