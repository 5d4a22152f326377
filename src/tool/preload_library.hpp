// Finds the library that `faultline run` preloads. Makes the program's environment: it tells the dynamic loader to load
// the library, and tells the library its settings.
// Used by run_command.cpp and by the doctor. It loads nothing itself.
#pragma once

#include "run/settings.hpp"

#include <string>
#include <vector>

namespace faultline::tool {

/// Returns the path of libfaultline-preload.so. Searches beside this command, in preload/ there, and in the
/// installation's ../lib. Throws std::runtime_error that lists these places.
[[nodiscard]] std::string find_preload_library();

/// Returns the absolute path of `file`, the library that a user names. Throws std::runtime_error if the dynamic loader
/// could not load it: it would only print a message, and the program would run without a limit.
[[nodiscard]] std::string check_preload_library(const std::string& file);

/// Returns the path of the launcher of static programs, which belongs to `library`; empty if it is missing.
[[nodiscard]] std::string find_launcher(const std::string& library);

/// Returns `environment` with `library` first in LD_PRELOAD, and with `settings` in place of earlier ones. Throws
/// std::invalid_argument if the library's name contains a space or a colon, where the dynamic loader would split it.
[[nodiscard]] std::vector<std::string> environment_of_program(const char* const* environment,
                                                              const std::string& library,
                                                              const run::Settings& settings);

}  // namespace faultline::tool
