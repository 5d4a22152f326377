// Makes execve(2) and execveat(2) for programs whose calls are dispatched: static programs, and bare system calls of
// others. exec_functions.cpp has the C library's functions.
#pragma once

#include "preload/calls.hpp"

#include <cstdint>

namespace faultline::preload {

/// Starts the program that the call names, by the launcher if it is static. The next program starts with `mask`.
/// Returns the kernel's error. Signal-safe.
[[nodiscard]] long exec_of_call(const Call& call, std::uint64_t mask) noexcept;

}  // namespace faultline::preload
