// The command line of swap_storm as a value. main calls it.
#pragma once

#include "support/command_line.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace faultline::demo::storm {

/// What a visit to a page does besides checking it.
enum class Mode : std::uint8_t {
    read,        ///< Nothing more.
    write,       ///< Writes to the page first, as a program does that overwrites, then rewrites all of it.
    read_write,  ///< Half of the visits only read; the other half read and then rewrite.
};

struct Options {
    std::size_t size = std::size_t{1} << 30;  ///< Size of the region, in bytes.
    PagerOptions pager;
    unsigned threads = 2;
    double seconds = 10;  ///< Length of the storm, in seconds; filling and the last check are not included.
    std::string mode_name = "rw";
    Mode mode = Mode::read_write;
    std::uint64_t seed = 0;
    std::string json;  ///< Path of a file for the results; empty: none.
};

/// Parses the command line. Returns nothing if it asked for help, which is then printed. Throws std::invalid_argument.
[[nodiscard]] std::optional<Options> parse_options(int argc, const char* const* argv);

}  // namespace faultline::demo::storm
