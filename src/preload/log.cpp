// Writes the pager's messages to standard error by a system call, without the program's stdio buffers.
// Replaces pager/log's function of the same name, so that a preloaded program need not load spdlog.

#include "pager/log/standard_error_log.hpp"
#include "sys/syscall.hpp"

#include <string>

namespace faultline::pager {

void say_on_standard_error(LogLevel level, std::string_view message) {
    if (level != LogLevel::warning && level != LogLevel::error) return;
    const std::string line = "faultline: " + std::string{message} + "\n";
    sys::raw_syscall(SYS_write, 2, sys::syscall_argument(line.data()), line.size());
}

}  // namespace faultline::pager
