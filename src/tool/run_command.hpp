// `faultline run`: the library, the status file and the program put together, and what is said of it.
#pragma once

#include "tool/options.hpp"

namespace faultline::tool {

/// Runs the program to its end. Returns what the command returns to the shell. `environment` is the command's own.
/// Throws std::system_error, std::runtime_error or std::invalid_argument when the program has not been started.
[[nodiscard]] int run_command(const RunOptions& options, const char* const* environment);

}  // namespace faultline::tool
