// The default log of a pager, for a Config without a `log`: warnings and errors go to standard error through spdlog. It
// has a file of its own, so that a program that links the static library can define the function itself and do without
// spdlog.
#pragma once

#include <faultline/types.hpp>

#include <string_view>

namespace faultline::pager {

/// Prints a message if it is a warning or an error. Not for the fault path: spdlog locks and allocates.
void say_on_standard_error(LogLevel level, std::string_view message);

}  // namespace faultline::pager
