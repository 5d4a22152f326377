// The list of the file descriptors that the library holds. FileDescriptor enters each, so none can be forgotten; what
// loads the library into a program that does not know it (the preload) reads the list to protect them. A fork copies
// the list with the descriptors. Everything here is signal-safe.
#pragma once

#include "core/signal_safe.hpp"

namespace faultline::sys {

/// Numbers below are standard input, output and error: a program that starts with one of them closed writes there all
/// the same.
inline constexpr int kLeastOwnDescriptor = 3;

/// From now on descriptors are put at this number or above it where the limit on open files allows it.
void place_own_descriptors(int least) FAULTLINE_SIGNAL_SAFE;

/// Enters a descriptor that has just been opened. Returns its number, which may be another one by then. Passes -1 on,
/// errno untouched. -1 with errno: it was 0, 1 or 2, and there is no other number; then it is closed.
[[nodiscard]] int enter_own_descriptor(int fd) FAULTLINE_SIGNAL_SAFE;

/// Takes a number off the list, before what is open there is closed.
void remove_own_descriptor(int fd) FAULTLINE_SIGNAL_SAFE;

[[nodiscard]] bool is_own_descriptor(unsigned fd) FAULTLINE_SIGNAL_SAFE;

/// The lowest number of the list that is not below `first`; UINT_MAX: none.
[[nodiscard]] unsigned next_own_descriptor(unsigned first) FAULTLINE_SIGNAL_SAFE;

}  // namespace faultline::sys
