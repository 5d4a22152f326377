// The command line of run_elf as a value.
#pragma once

#include "support/command_line.hpp"

#include <optional>
#include <string>
#include <vector>

namespace faultline::demo::guest {

struct Options {
    PagerOptions pager;
    bool fixed = false;                  ///< No random places.
    bool maps = false;                   ///< Show the program's mappings at its end.
    bool quiet = false;                  ///< No report.
    std::vector<std::string> program{};  ///< Its path, and its arguments.
};

/// The options, or nothing when help was asked for and given. Throws std::invalid_argument.
[[nodiscard]] std::optional<Options> parse_options(int argc, const char* const* argv);

}  // namespace faultline::demo::guest
