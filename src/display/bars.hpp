// Bars in one line of text: the progress of a job, and which parts of a region are resident.
// Used by the live view of `faultline run` and by the demos. These functions return text; they print nothing.
#pragma once

#include "display/terminal.hpp"

#include <faultline/stats.hpp>

#include <cstddef>
#include <span>
#include <string>

namespace faultline::display {

/// Returns a bar `columns` wide, brackets included: "[#####.....]", or eighths of a block if the terminal has them.
[[nodiscard]] std::string progress_bar(const Terminal& terminal, double fraction, std::size_t columns);

/// Returns one column for each cell. Its height is the resident share of the cell's bytes. Its colour is the most
/// frequent state of these bytes: green clean, yellow dirty, cyan staged. A dot is a cell that is entirely in the
/// store, a blank a cell that was never touched.
[[nodiscard]] std::string residency_bar(const Terminal& terminal, std::span<const ResidencyCell> cells);

}  // namespace faultline::display
