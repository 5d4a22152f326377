// Writes the pager's messages to standard error, past the program's own buffers.
// Replaces the library's own log, and with it spdlog, which a program would have to load.

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
