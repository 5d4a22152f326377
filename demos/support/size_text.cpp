#include "support/size_text.hpp"

#include <array>
#include <charconv>
#include <cstddef>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

namespace faultline::demo {
namespace {

constexpr std::string_view kUnits = "KMGT";

[[noreturn]] void refuse(std::string_view text, const char* why) {
    throw std::invalid_argument("'" + std::string{text} + "' " + why);
}

char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

/// The power of two that a suffix multiplies with. "KB" is refused: some read it as 1000.
unsigned shift_of(std::string_view text, std::string_view suffix) {
    constexpr const char* kExpected = "is not a size: write bytes, or a number followed by K, M, G or T";
    if (suffix.empty() || (suffix.size() == 1 && upper(suffix[0]) == 'B')) return 0;
    const std::size_t unit = kUnits.find(upper(suffix[0]));
    if (unit == std::string_view::npos) refuse(text, kExpected);
    const std::string_view rest = suffix.substr(1);
    const bool binary = rest.size() == 2 && upper(rest[0]) == 'I' && upper(rest[1]) == 'B';
    if (!rest.empty() && !binary) refuse(text, kExpected);
    return static_cast<unsigned>(unit + 1) * 10;
}

}  // namespace

std::size_t parse_size(std::string_view text) {
    std::size_t number = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    if (error == std::errc::result_out_of_range) refuse(text, "is too large");
    if (error != std::errc{}) refuse(text, "is not a size: it does not begin with a digit");
    const unsigned shift = shift_of(text, {stop, static_cast<std::size_t>(end - stop)});
    if (number == 0) refuse(text, "must not be zero");
    if (number > std::numeric_limits<std::size_t>::max() >> shift) refuse(text, "is too large");
    return number << shift;
}

std::string size_text(std::size_t bytes) {
    std::size_t unit = 0;
    while (unit < kUnits.size() && bytes != 0 && bytes % 1024 == 0) {
        bytes /= 1024;
        ++unit;
    }
    std::string text = std::to_string(bytes);
    if (unit > 0) text += kUnits[unit - 1];
    return text;
}

}  // namespace faultline::demo
