#include "sys/error.hpp"

#include <cstdio>
#include <iterator>
#include <system_error>

namespace faultline::sys {

void throw_error(int error, std::string_view what) {
    throw std::system_error(error, std::system_category(), "faultline: " + std::string(what));
}

std::string readable_bytes(std::uint64_t bytes) {
    static constexpr const char* kUnits[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = static_cast<double>(bytes);
    unsigned unit = 0;
    while (value >= 1024 && unit + 1 < std::size(kUnits)) {
        value /= 1024;
        ++unit;
    }
    char text[32];
    std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
    return text;
}

}  // namespace faultline::sys
