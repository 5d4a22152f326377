// The command line of swap_storm as a value.
#pragma once

#include "support/command_line.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace faultline::demo::storm {

/// What a visit to a page does besides checking it.
enum class Mode : std::uint8_t {
    read,        ///< Nothing.
    write,       ///< Asks for the page to write first, as a program does that overwrites, then rewrites it.
    read_write,  ///< Half of the visits read, the other half read and then rewrite.
};

struct Options {
    std::size_t size = std::size_t{1} << 30;  ///< Of the region, in bytes.
    PagerOptions pager;
    unsigned threads = 2;
    double seconds = 10;  ///< Of the storm; filling and the last check come on top.
    std::string mode_name = "rw";
    Mode mode = Mode::read_write;
    std::uint64_t seed = 0;
    std::string json;  ///< A file for the results; empty: none.
};

/// The options, or nothing when help was asked for and given. Throws std::invalid_argument.
[[nodiscard]] std::optional<Options> parse_options(int argc, const char* const* argv);

}  // namespace faultline::demo::storm
