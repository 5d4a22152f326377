// What can be told of a program before it runs: where it is, and whether the library that is preloaded can enter it. It
// promises nothing: the kernel and the dynamic loader decide.
#pragma once

#include "run/program_file.hpp"

#include <optional>
#include <string>

namespace faultline::tool {

/// The file that execvp(3) would run for `name`, `name` itself where it has a slash; none when $PATH has none.
[[nodiscard]] std::optional<std::string> find_program(const std::string& name);

/// Why the preloaded library cannot enter a program.
struct ProgramObstacle {
    run::Obstacle kind = run::Obstacle::none;
    std::string words;  ///< Completes the sentence "PROGRAM ..."; empty: nothing is known against it.
};

/// Looks at the program in this file, or at a script's interpreter.
[[nodiscard]] ProgramObstacle obstacle_to_preload(const std::string& file);

}  // namespace faultline::tool
