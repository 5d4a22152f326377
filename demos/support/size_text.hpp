// Sizes as people write them on a command line: "4K", "256M", "1G". Parsing only; printing is in format.hpp.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace faultline::demo {

/// Bytes that `text` names: digits, then nothing, "B", or one of K M G T (powers of 1024, "iB" may follow), in either
/// case. Throws std::invalid_argument, saying what is wrong, for anything else, for zero and for what does not fit.
[[nodiscard]] std::size_t parse_size(std::string_view text);

/// The shortest text that `parse_size` reads back as `bytes`: "256M", "4K", "1000".
[[nodiscard]] std::string size_text(std::size_t bytes);

}  // namespace faultline::demo
