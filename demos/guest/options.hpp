// The command line of run_elf as a value. main calls it.
#pragma once

#include "support/command_line.hpp"

#include <optional>
#include <string>
#include <vector>

namespace faultline::demo::guest {

struct Options {
    PagerOptions pager;
    bool fixed = false;                  ///< Use no random addresses.
    bool maps = false;                   ///< Print the program's mappings at its end.
    bool quiet = false;                  ///< Print no report.
    std::vector<std::string> program{};  ///< The program's path and arguments.
};

/// Parses the command line. Returns nothing if it asked for help, which is then printed. Throws std::invalid_argument.
[[nodiscard]] std::optional<Options> parse_options(int argc, const char* const* argv);

}  // namespace faultline::demo::guest
