// Tells the status file of `faultline run` how the program is doing: a thread of the library's, twice a second, and
// once more when the program ends.
#pragma once

#include "heap/heap.hpp"
#include "run/settings.hpp"

namespace faultline::preload {

/// Does nothing where no status file is named, or where it cannot be had.
void start_status(detail::Heap& heap, const run::Settings& settings);

/// In the child of a fork, which has a slot of its own.
void start_status_in_child() noexcept;

}  // namespace faultline::preload
