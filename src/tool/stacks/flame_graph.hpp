// Draws an analysis as a flame graph: one rectangle a call, as wide as the time that the faults below it took.
#pragma once

#include "tool/stacks/stack_analysis.hpp"

#include <string>

namespace faultline::tool {

/// Returns an SVG file that needs no other file. A rectangle shows its figures as a tooltip.
[[nodiscard]] std::string flame_graph(const StackAnalysis& analysis);

}  // namespace faultline::tool
