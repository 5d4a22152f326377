// The command line of anatomy as a value. main calls it.
#pragma once

#include "support/command_line.hpp"

#include <optional>
#include <string>

namespace faultline::demo::anatomy {

struct Options {
    PagerOptions pager;
    std::string program = "/proc/self/exe";  ///< The program whose parts are shown.
    bool fixed = false;                      ///< Use the same addresses each time.
};

/// Parses the command line. Returns nothing if it asked for help, which is then printed. Throws std::invalid_argument.
[[nodiscard]] std::optional<Options> parse_options(int argc, const char* const* argv);

}  // namespace faultline::demo::anatomy
