// Explains in words which system limit may have refused a reservation of addresses. It reads the limits and changes
// none. Mapping calls it for its error messages.
#pragma once

#include <string>

namespace faultline::sys {

/// Returns the limits that are set, each with its value and how to raise it. If none is set, returns what to check.
[[nodiscard]] std::string explain_address_limits();

}  // namespace faultline::sys
