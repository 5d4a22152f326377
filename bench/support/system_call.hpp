// Turns the result of a system call into an exception that names the call. For set-up code only: code in a signal
// handler or inside a measurement checks its results itself.
#pragma once

#include <cerrno>
#include <string>
#include <system_error>

namespace bench {

[[noreturn]] inline void throw_errno(const std::string& what) {
    throw std::system_error{errno, std::generic_category(), what};
}

/// Returns `result` unless it is -1; throws std::system_error then.
template <typename Result>
Result check(Result result, const std::string& what) {
    if (result == Result{-1}) throw_errno(what);
    return result;
}

}  // namespace bench
