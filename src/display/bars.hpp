// Bars drawn in one line of text: how far a job is, and which parts of a region are in memory.
#pragma once

#include "display/terminal.hpp"

#include <faultline/stats.hpp>

#include <cstddef>
#include <span>
#include <string>

namespace faultline::display {

/// `columns` wide, brackets included: "[#####.....]", or in eighths of a block where the terminal has them.
[[nodiscard]] std::string progress_bar(const Terminal& terminal, double fraction, std::size_t columns);

/// One column for each cell: its height is the share of the cell's bytes that holds memory, its colour says what most
/// of that is: green clean, yellow dirty, cyan staged. A dot is a cell wholly in the store, a blank one never touched.
[[nodiscard]] std::string residency_bar(const Terminal& terminal, std::span<const ResidencyCell> cells);

}  // namespace faultline::display
