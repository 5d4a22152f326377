#include "display/bars.hpp"

#include "display/format.hpp"
#include "display/terminal.hpp"

#include <faultline/stats.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace faultline::display {
namespace {

constexpr std::array<std::string_view, 8> kWidths{"▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"};
constexpr std::array<std::string_view, 8> kHeights{"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
constexpr std::array<std::string_view, 8> kShades{":", "-", "=", "+", "*", "#", "%", "@"};

Colour colour_of(const ResidencyCell& cell, std::uint64_t held) {
    if (cell.staged * 2 > held) return Colour::cyan;
    return cell.dirty * 2 > held ? Colour::yellow : Colour::green;
}

struct Glyph {
    std::string_view text;
    Colour colour = Colour::none;
};

Glyph glyph_of(const Terminal& terminal, const ResidencyCell& cell) {
    const std::uint64_t held = cell.resident + cell.staged;
    const std::uint64_t whole = held + cell.untouched + cell.swapped;
    if (held == 0) {
        if (cell.swapped == 0) return {" "};
        return {terminal.unicode ? "·" : ".", Colour::grey};
    }
    const auto& ramp = terminal.unicode ? kHeights : kShades;
    const double share = static_cast<double>(held) / static_cast<double>(whole);
    const auto level = static_cast<std::size_t>(std::ceil(share * static_cast<double>(ramp.size())));
    return {ramp.at(std::clamp<std::size_t>(level, 1, ramp.size()) - 1), colour_of(cell, held)};
}

std::string filled(const Terminal& terminal, double fraction, std::size_t columns) {
    const std::size_t steps = terminal.unicode ? kWidths.size() : 1;
    const auto done = static_cast<std::size_t>(fraction * static_cast<double>(columns * steps));
    std::string text;
    for (std::size_t i = 0; i < done / steps; ++i) text += terminal.unicode ? kWidths.back() : "#";
    std::size_t drawn = done / steps;
    if (done % steps != 0) {
        text += kWidths.at(done % steps - 1);
        ++drawn;
    }
    text = coloured(text, terminal.colour ? Colour::green : Colour::none);
    return text.append(columns - drawn, terminal.unicode ? ' ' : '.');
}

}  // namespace

std::string progress_bar(const Terminal& terminal, double fraction, std::size_t columns) {
    if (columns < 3) return {};
    return printed("[%s]", filled(terminal, std::clamp(fraction, 0.0, 1.0), columns - 2).c_str());
}

std::string residency_bar(const Terminal& terminal, std::span<const ResidencyCell> cells) {
    std::string text;
    std::string run;  // neighbours of one colour share their escape sequences
    Colour colour = Colour::none;
    for (const ResidencyCell& cell : cells) {
        const Glyph glyph = glyph_of(terminal, cell);
        const Colour wanted = terminal.colour ? glyph.colour : Colour::none;
        if (wanted != colour) {
            text += coloured(run, colour);
            run.clear();
            colour = wanted;
        }
        run += glyph.text;
    }
    return text + coloured(run, colour);
}

}  // namespace faultline::display
