// require: a test's system call that has to succeed.
#pragma once

#include <cerrno>
#include <system_error>

namespace faultline::test {

/// Throws std::system_error with errno, and `call` as its text, unless `succeeded`.
inline void require(bool succeeded, const char* call) {
    if (!succeeded) throw std::system_error(errno, std::generic_category(), call);
}

}  // namespace faultline::test
