#include "core/check.hpp"
#include "sys/syscall.hpp"

#include <csignal>
#include <cstdlib>
#include <cstring>

namespace faultline::core {
namespace {

void say(const char* text) noexcept { sys::raw_syscall(SYS_write, 2, sys::syscall_argument(text), std::strlen(text)); }

}  // namespace

void fatal(const char* message, const char* file, int line) noexcept {
    char digits[12] = {};
    char* at = digits + sizeof digits - 1;
    do {
        *--at = static_cast<char>('0' + line % 10);
        line /= 10;
    } while (line > 0 && at > digits);
    say("faultline: ");
    say(message);
    say(" (");
    say(file);
    say(":");
    say(at);
    say(")\n");
    std::abort();
}

}  // namespace faultline::core
