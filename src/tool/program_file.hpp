// Finds a program, and forecasts whether the preloaded library can enter it. The kernel and the dynamic loader decide.
// run/program_file.hpp has the checks; this adds $PATH and the words for messages. Used by run_command.cpp.
#pragma once

#include "run/program_file.hpp"

#include <optional>
#include <string>

namespace faultline::tool {

/// Returns the file that execvp(3) would run for `name`: `name` itself if it has a slash; nothing if $PATH has no such
/// file.
[[nodiscard]] std::optional<std::string> find_program(const std::string& name);

/// Why the preloaded library cannot enter a program.
struct ProgramObstacle {
    run::Obstacle kind = run::Obstacle::none;
    std::string words;  ///< Completes the sentence "PROGRAM ..."; empty: no obstacle is known.
};

/// Checks the program in this file, or a script's interpreter.
[[nodiscard]] ProgramObstacle obstacle_to_preload(const std::string& file);

}  // namespace faultline::tool
