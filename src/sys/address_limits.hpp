// Which limit of the system may have refused a reservation of addresses, in words.
#pragma once

#include <string>

namespace faultline::sys {

/// Names the limits that are set, each with its value and the way to raise it; where none is, says what to check.
[[nodiscard]] std::string explain_address_limits();

}  // namespace faultline::sys
