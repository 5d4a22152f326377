// Prints an analysis: as text of 80 columns for people, and as JSON for tools.
#pragma once

#include "tool/stacks/stack_analysis.hpp"

#include <string>
#include <vector>

namespace faultline::tool {

/// Returns the report. `top`: places to list.
[[nodiscard]] std::string stack_report_text(const std::string& file, const std::vector<RecordedSession>& sessions,
                                            const StackAnalysis& analysis, unsigned top, bool colour);

/// Returns all places with their figures.
[[nodiscard]] std::string stack_report_json(const std::vector<RecordedSession>& sessions,
                                            const StackAnalysis& analysis);

}  // namespace faultline::tool
