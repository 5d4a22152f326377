// Reads a small file, such as one of /proc, without libc. Used by the preload and by programs' status reports.
#pragma once

#include "core/signal_safe.hpp"

#include <cstddef>
#include <span>
#include <string_view>

namespace faultline::sys {

/// Reads the file from its begin into `buffer`. Returns the part of the buffer that it filled: less than the file if it
/// is larger, nothing if it cannot be opened. A FileReader, if there is one, opens and reads the file in its own
/// thread. Signal-safe.
[[nodiscard]] std::string_view read_file_start(const char* path, std::span<char> buffer) FAULTLINE_SIGNAL_SAFE;

/// The same in the calling thread: takes the lowest free descriptor number while it reads.
[[nodiscard]] std::string_view read_file_start_here(const char* path, std::span<char> buffer) FAULTLINE_SIGNAL_SAFE;

}  // namespace faultline::sys
