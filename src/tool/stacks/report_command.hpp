// `faultline report`: reads what `faultline record` has written, and prints which code faults.
#pragma once

#include "tool/options.hpp"

namespace faultline::tool {

/// Returns the exit code. Throws std::exception with a message if a file cannot be read or written.
[[nodiscard]] int report_command(const ReportOptions& options);

}  // namespace faultline::tool
