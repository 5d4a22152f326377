#include "run/size_text.hpp"

#include <charconv>
#include <cstdint>
#include <limits>
#include <optional>
#include <system_error>

namespace faultline::run {
namespace {

constexpr std::string_view kUnits = "KMGT";

char upper(char c) noexcept { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

/// Returns the power of two of a unit: "K", "KB" and "KiB" mean the same.
std::optional<unsigned> shift_of(std::string_view suffix) noexcept {
    if (suffix.empty() || (suffix.size() == 1 && upper(suffix[0]) == 'B')) return 0;
    const std::size_t unit = kUnits.find(upper(suffix[0]));
    if (unit == std::string_view::npos) return std::nullopt;
    std::string_view rest = suffix.substr(1);
    if (rest.size() == 2 && upper(rest[0]) == 'I') rest.remove_prefix(1);
    if (!rest.empty() && !(rest.size() == 1 && upper(rest[0]) == 'B')) return std::nullopt;
    return static_cast<unsigned>(unit + 1) * 10;
}

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

/// The digits after a decimal point, as `digits` / `divisor`. Drops the seventh and later digits.
struct Fraction {
    std::uint64_t digits = 0;
    std::uint64_t divisor = 1;

    [[nodiscard]] std::size_t of(std::size_t unit_bytes) const noexcept {
        return digits * unit_bytes / divisor;  // below 10^6 * 2^40
    }
};

/// Removes ".5" from the front of `text`. Returns nothing if no digit follows the point.
std::optional<Fraction> take_fraction(std::string_view& text) noexcept {
    constexpr std::uint64_t kMostDivisor = 1'000'000;
    Fraction fraction;
    if (text.empty() || text[0] != '.') return fraction;
    text.remove_prefix(1);
    if (text.empty() || !is_digit(text[0])) return std::nullopt;
    for (; !text.empty() && is_digit(text[0]); text.remove_prefix(1)) {
        if (fraction.divisor == kMostDivisor) continue;
        fraction.digits = fraction.digits * 10 + static_cast<unsigned>(text[0] - '0');
        fraction.divisor *= 10;
    }
    return fraction;
}

constexpr const char* kForm =
    "is not a size: write bytes, or a number such as 64 or 1.5 followed by K, M, G or T (powers of 1024; MB and MiB "
    "mean "
    "M)";
constexpr const char* kTooLarge = "is too large a size: at most 16777215T";

}  // namespace

ParsedSize parse_size(std::string_view text) noexcept {
    std::size_t number = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    if (error == std::errc::result_out_of_range) return {0, kTooLarge};
    if (error != std::errc{}) return {0, kForm};
    std::string_view rest{stop, static_cast<std::size_t>(end - stop)};
    const bool has_point = !rest.empty() && rest[0] == '.';
    const std::optional<Fraction> fraction = take_fraction(rest);
    const std::optional<unsigned> shift = shift_of(rest);
    if (!fraction || !shift || (has_point && *shift == 0)) return {0, kForm};
    const std::size_t unit_bytes = std::size_t{1} << *shift;
    if (number > std::numeric_limits<std::size_t>::max() >> *shift) return {0, kTooLarge};
    return {number * unit_bytes + fraction->of(unit_bytes), nullptr};
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
