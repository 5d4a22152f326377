// Sizes as people write them on a command line and in the environment: "4K", "256M", "64MB", "1.5G". Allocates nothing
// while parsing. What prints figures for people to read is elsewhere.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace faultline::run {

struct ParsedSize {
    std::size_t bytes = 0;
    const char* problem = nullptr;  ///< What is wrong with the text, to be put behind it; null: nothing is.
};

/// Bytes that `text` names: a number, then nothing, "B", or one of K M G T (powers of 1024; "B" or "iB" may follow), in
/// either case. A number may have a fraction where a unit follows it ("1.5G"), which rounds down to whole bytes. Zero
/// is a size. Signal-safe.
[[nodiscard]] ParsedSize parse_size(std::string_view text) noexcept;

/// The shortest text that `parse_size` reads back as `bytes`: "256M", "4K", "1000".
[[nodiscard]] std::string size_text(std::size_t bytes);

}  // namespace faultline::run
