// `faultline run`: connects the library, the status file and the program, and prints the messages about them.
// The parts are in other files: options, launch, report, live_view. Called by main.cpp.
#pragma once

#include "tool/options.hpp"

namespace faultline::tool {

/// Runs the program to its end. Returns the command's exit code. `environment`: the command's own. Throws
/// std::system_error, std::runtime_error or std::invalid_argument if the program has not been started.
[[nodiscard]] int run_command(const RunOptions& options, const char* const* environment);

}  // namespace faultline::tool
