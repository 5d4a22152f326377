// What other parts of the preload know of the interposed functions for I/O (io_functions.cpp).
#pragma once

namespace faultline::preload {

/// Finds the functions of the same names in other preloaded libraries, which are called in place of the C library's.
/// Called once, when the preload starts, after ManagedHeap::find_neighbours.
void look_behind_io_functions() noexcept;

/// Returns true if `name` is one of them.
[[nodiscard]] bool is_io_function(const char* name) noexcept;

}  // namespace faultline::preload
