// Where a pager's messages go when its Config names no log: standard error, through spdlog, warnings and errors only.
// In a file of its own, so that who links the static library and logs another way can define it, and do without spdlog.
#pragma once

#include <faultline/types.hpp>

#include <string_view>

namespace faultline::pager {

void say_on_standard_error(LogLevel level, std::string_view message);

}  // namespace faultline::pager
