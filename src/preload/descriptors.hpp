// Keeps the library's descriptors out of the program's way: at high numbers, and safe from the program's close calls.
// Programs rely on the lowest free number, use small numbers by name, and close descriptors that they did not open. The
// list of the library's descriptors is in sys/own_descriptors.hpp.
#pragma once

#include "preload/credentials.hpp"
#include "sys/own_descriptors.hpp"

#include <climits>
#include <cstdint>

namespace faultline::preload {

/// Makes the library open its descriptors at the highest numbers below 1,024 that the program may open. If the program
/// may open fewer than 96 files, they stay among the program's.
void place_descriptors_high() noexcept;

/// Takes the number as a register holds it: the kernel reads only 32 bits.
[[nodiscard]] inline bool is_own_descriptor(std::uint64_t fd) noexcept {
    return sys::is_own_descriptor(static_cast<unsigned>(fd & UINT_MAX));
}

/// Does what close_range(2) does, but skips the library's own descriptors. Returns 0 or a negated errno. Signal-safe.
[[nodiscard]] long close_range_around_own(unsigned first, unsigned last, unsigned flags) noexcept;

/// The same for a call of the program. After CLOSE_RANGE_UNSHARE the library's threads have the calling thread's new
/// table of descriptors: they end before it and start again. Not signal-safe then.
[[nodiscard]] long close_range_of_program(unsigned first, unsigned last, unsigned flags, CallFrom from) noexcept;

}  // namespace faultline::preload
