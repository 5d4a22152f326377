// Formats numbers for people. Every function returns plain ASCII, so its size() is its width on a terminal.
// Used by the command and by the demos. For sizes that a user types, see run/size_text.hpp.
#pragma once

#include <cstdint>
#include <string>

namespace faultline::display {

/// Returns what printf would print.
[[nodiscard]] std::string printed(const char* format, ...) __attribute__((format(printf, 1, 2)));

/// "512 B", "98.7 MiB".
[[nodiscard]] std::string format_bytes(double bytes);
[[nodiscard]] std::string format_bytes(std::uint64_t bytes);

/// Returns at most five characters, for lines that must stay short: "332M", "1.2G", "0".
[[nodiscard]] std::string format_bytes_short(double bytes);

/// "1,234,567".
[[nodiscard]] std::string format_count(std::uint64_t count);

/// Returns at most five characters: "312", "85.3k", "1.20M".
[[nodiscard]] std::string format_rate(double per_second);

/// "850 ns", "85.1 us", "1.2 ms", "2.3 s".
[[nodiscard]] std::string format_nanoseconds(std::uint64_t nanoseconds);

/// "0.42 s", "12.3 s", "2 min 05 s".
[[nodiscard]] std::string format_seconds(double seconds);

}  // namespace faultline::display
