#include "display/format.hpp"

#include <array>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>

namespace faultline::display {

std::string printed(const char* format, ...) {
    std::va_list arguments;
    std::va_list again;
    va_start(arguments, format);
    va_copy(again, arguments);
    const int length = std::vsnprintf(nullptr, 0, format, arguments);
    va_end(arguments);
    std::string text(length > 0 ? static_cast<std::size_t>(length) : 0, '\0');
    if (length > 0) static_cast<void>(std::vsnprintf(text.data(), text.size() + 1, format, again));
    va_end(again);
    return text;
}

std::string format_bytes(double bytes) {
    constexpr std::array kUnits{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    std::size_t unit = 0;
    // 1023.95 and more would print as "1024.0", so the next unit is used.
    while (bytes >= 1023.95 && unit + 1 < kUnits.size()) {
        bytes /= 1024;
        ++unit;
    }
    return unit == 0 ? printed("%.0f B", bytes) : printed("%.1f %s", bytes, kUnits.at(unit));
}

std::string format_bytes(std::uint64_t bytes) { return format_bytes(static_cast<double>(bytes)); }

std::string format_bytes_short(double bytes) {
    constexpr std::array kUnits{"", "K", "M", "G", "T", "P", "E"};
    std::size_t unit = 0;
    while (bytes >= 999.5 && unit + 1 < kUnits.size()) {
        bytes /= 1024;
        ++unit;
    }
    return printed(unit > 0 && bytes < 9.95 ? "%.1f%s" : "%.0f%s", bytes, kUnits.at(unit));
}

std::string format_count(std::uint64_t count) {
    std::string text = std::to_string(count);
    for (std::size_t end = text.size(); end > 3; end -= 3) text.insert(end - 3, 1, ',');
    return text;
}

std::string format_rate(double per_second) {
    if (per_second < 1e3) return printed("%.0f", per_second);
    if (per_second < 1e4) return printed("%.2fk", per_second / 1e3);
    if (per_second < 1e5) return printed("%.1fk", per_second / 1e3);
    if (per_second < 1e6) return printed("%.0fk", per_second / 1e3);
    if (per_second < 1e7) return printed("%.2fM", per_second / 1e6);
    return printed("%.0fM", per_second / 1e6);
}

std::string format_nanoseconds(std::uint64_t nanoseconds) {
    const auto value = static_cast<double>(nanoseconds);
    if (value < 1e3) return printed("%.0f ns", value);
    if (value < 1e6) return printed("%.1f us", value / 1e3);
    if (value < 1e9) return printed("%.1f ms", value / 1e6);
    return printed("%.1f s", value / 1e9);
}

std::string format_seconds(double seconds) {
    if (seconds < 10) return printed("%.2f s", seconds);
    if (seconds < 120) return printed("%.1f s", seconds);
    const auto whole = static_cast<std::uint64_t>(seconds);
    return printed("%s min %02u s", format_count(whole / 60).c_str(), static_cast<unsigned>(whole % 60));
}

}  // namespace faultline::display
