// Writes an analysis as trace events, the JSON format of Chrome's tracing, which ui.perfetto.dev opens: a slice for
// each sampled fault on the track of its thread, and counters of each process.
#pragma once

#include "tool/stacks/stack_analysis.hpp"

#include <string>
#include <vector>

namespace faultline::tool {

[[nodiscard]] std::string trace_events(const std::vector<RecordedSession>& sessions, const StackAnalysis& analysis);

}  // namespace faultline::tool
