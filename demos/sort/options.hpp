// The command line of sort_file as a value. main calls it.
#pragma once

#include "support/command_line.hpp"

#include <cstddef>
#include <optional>
#include <string>

namespace faultline::demo::sort {

struct Options {
    std::string input;
    std::string output;
    PagerOptions pager{.resident = std::size_t{16} << 20};
};

/// Parses the command line. Returns nothing if it asked for help, which is then printed. Throws std::invalid_argument.
[[nodiscard]] std::optional<Options> parse_options(int argc, const char* const* argv);

}  // namespace faultline::demo::sort
