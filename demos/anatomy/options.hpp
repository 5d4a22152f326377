// The command line of anatomy as a value.
#pragma once

#include "support/command_line.hpp"

#include <optional>
#include <string>

namespace faultline::demo::anatomy {

struct Options {
    PagerOptions pager;
    std::string program = "/proc/self/exe";  ///< Whose parts are shown.
    bool fixed = false;                      ///< The same addresses each time.
};

/// The options, or nothing when help was asked for and given. Throws std::invalid_argument.
[[nodiscard]] std::optional<Options> parse_options(int argc, const char* const* argv);

}  // namespace faultline::demo::anatomy
