// The list of the file descriptors that the library owns. FileDescriptor enters each of them, so none is missing. The
// preload reads the list to protect them from the program. A fork copies the list with the descriptors. All calls are
// signal-safe.
#pragma once

#include "core/signal_safe.hpp"

namespace faultline::sys {

/// The library uses no lower number. Lower ones are standard input, output and error: a program that starts with one of
/// them closed still writes to it.
inline constexpr int kLeastOwnDescriptor = 3;

/// Places descriptors from now on at `least` or above, if the limit on open files allows it.
void place_own_descriptors(int least) FAULTLINE_SIGNAL_SAFE;

/// Adds a descriptor that was just opened to the list. Returns its number, which may have changed. Returns -1 for -1
/// and keeps errno. Closes the descriptor, sets errno and returns -1 if it was 0, 1 or 2 and no other number is free.
[[nodiscard]] int add_own_descriptor(int fd) FAULTLINE_SIGNAL_SAFE;

/// Removes a number from the list. Call before closing it.
void remove_own_descriptor(int fd) FAULTLINE_SIGNAL_SAFE;

[[nodiscard]] bool is_own_descriptor(unsigned fd) FAULTLINE_SIGNAL_SAFE;

/// Returns the lowest number in the list that is at least `first`; UINT_MAX if there is none.
[[nodiscard]] unsigned next_own_descriptor(unsigned first) FAULTLINE_SIGNAL_SAFE;

}  // namespace faultline::sys
