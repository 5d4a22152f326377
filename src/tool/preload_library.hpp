// The library that `faultline run` preloads: where it is, and the environment that has the dynamic loader load it and
// tells it what to do.
#pragma once

#include "run/settings.hpp"

#include <string>
#include <vector>

namespace faultline::tool {

/// libfaultline-preload.so: beside this command, in preload/ there, or where it is installed, in ../lib. Throws
/// std::runtime_error saying where it was looked for.
[[nodiscard]] std::string find_preload_library();

/// The absolute path of `file`, the library that a user names. Throws std::runtime_error where the dynamic loader could
/// not load it: it would only print a message, and the program would run without a limit.
[[nodiscard]] std::string check_preload_library(const std::string& file);

/// `environment` with `library` in front of what LD_PRELOAD has, and `settings` in place of any it holds. Throws
/// std::invalid_argument when the dynamic loader could not read the library's name (it has a space or a colon).
[[nodiscard]] std::vector<std::string> environment_of_program(const char* const* environment,
                                                              const std::string& library,
                                                              const run::Settings& settings);

}  // namespace faultline::tool
