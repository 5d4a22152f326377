// Mode: the order in which pages are touched, and whether a touch writes. Command line, table and JSON use the same
// names: r z s n rw zw sw.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace bench {

enum class Pattern : std::uint8_t {
    uniform,
    zipf,
    sequential,
    named,  ///< Uniform; the program names the pages before it touches them.
};
enum class Touch : std::uint8_t { read, modify };

struct Mode {
    Pattern pattern;
    Touch touch;
    const char* name;
};

inline constexpr std::array<Mode, 7> kModes{{
    {Pattern::uniform, Touch::read, "r"},
    {Pattern::zipf, Touch::read, "z"},
    {Pattern::sequential, Touch::read, "s"},
    {Pattern::named, Touch::read, "n"},
    {Pattern::uniform, Touch::modify, "rw"},
    {Pattern::zipf, Touch::modify, "zw"},
    {Pattern::sequential, Touch::modify, "sw"},
}};

/// The first write of every page. Reported like a mode, done once before all modes; not an option.
inline constexpr Mode kPopulate{Pattern::sequential, Touch::modify, "populate"};

constexpr bool is_populate(const Mode& mode) noexcept { return std::string_view{mode.name} == kPopulate.name; }

/// Returns the mode called `name`, or null.
constexpr const Mode* find_mode(std::string_view name) noexcept {
    for (const Mode& mode : kModes) {
        if (name == mode.name) return &mode;
    }
    return nullptr;
}

}  // namespace bench
