// Parses and prints sizes as people write them on a command line and in the environment: "4K", "256M", "64MB", "1.5G".
// The only parser of sizes: the command, the environment variables, the demos and the benchmarks use it.
// Parsing allocates nothing. For figures that people read, see display/format.hpp.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace faultline::run {

struct ParsedSize {
    std::size_t bytes = 0;
    const char* problem = nullptr;  ///< What is wrong with the text, phrased to follow it in a sentence; null: the text
                                    ///< is valid.
};

/// Parses a number that may be followed by "B" or by one of K, M, G, T (powers of 1024; "B" or "iB" may follow), in
/// either case. With a unit the number may have a fraction ("1.5G"), which is rounded down to whole bytes. Zero is
/// valid. Signal-safe.
[[nodiscard]] ParsedSize parse_size(std::string_view text) noexcept;

/// Returns the shortest text that `parse_size` reads back as `bytes`: "256M", "4K", "1000".
[[nodiscard]] std::string size_text(std::size_t bytes);

}  // namespace faultline::run
