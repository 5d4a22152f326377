// Mode: in which order pages are touched and whether a touch writes. The names are those of the command line, the
// table and the JSON: r z s rw zw sw.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace bench {

enum class Pattern : std::uint8_t { uniform, zipf, sequential };
enum class Touch : std::uint8_t { read, modify };

struct Mode {
    Pattern pattern;
    Touch touch;
    const char* name;
};

inline constexpr std::array<Mode, 6> kModes{{
    {Pattern::uniform, Touch::read, "r"},
    {Pattern::zipf, Touch::read, "z"},
    {Pattern::sequential, Touch::read, "s"},
    {Pattern::uniform, Touch::modify, "rw"},
    {Pattern::zipf, Touch::modify, "zw"},
    {Pattern::sequential, Touch::modify, "sw"},
}};

/// The mode called `name`; null when there is none.
constexpr const Mode* find_mode(std::string_view name) noexcept {
    for (const Mode& mode : kModes) {
        if (name == mode.name) return &mode;
    }
    return nullptr;
}

}  // namespace bench
