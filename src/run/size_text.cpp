#include "run/size_text.hpp"

#include <charconv>
#include <limits>
#include <optional>
#include <system_error>

namespace faultline::run {
namespace {

constexpr std::string_view kUnits = "KMGT";

char upper(char c) noexcept { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

/// The power of two that a suffix multiplies with. "KB" is refused: some read it as 1000.
std::optional<unsigned> shift_of(std::string_view suffix) noexcept {
    if (suffix.empty() || (suffix.size() == 1 && upper(suffix[0]) == 'B')) return 0;
    const std::size_t unit = kUnits.find(upper(suffix[0]));
    if (unit == std::string_view::npos) return std::nullopt;
    const std::string_view rest = suffix.substr(1);
    const bool binary = rest.size() == 2 && upper(rest[0]) == 'I' && upper(rest[1]) == 'B';
    if (!rest.empty() && !binary) return std::nullopt;
    return static_cast<unsigned>(unit + 1) * 10;
}

}  // namespace

ParsedSize parse_size(std::string_view text) noexcept {
    std::size_t number = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    if (error == std::errc::result_out_of_range) return {0, "is too large"};
    if (error != std::errc{}) return {0, "is not a size: it does not begin with a digit"};
    const std::optional<unsigned> shift = shift_of({stop, static_cast<std::size_t>(end - stop)});
    if (!shift) return {0, "is not a size: write bytes, or a number followed by K, M, G or T"};
    if (number > std::numeric_limits<std::size_t>::max() >> *shift) return {0, "is too large"};
    return {number << *shift, nullptr};
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

}  // namespace faultline::run
