// errno_of: the outcome of an operation that throws, as a system call would return it. For code that answers a
// program's system calls with operations of the library.
#pragma once

#include <cerrno>
#include <new>
#include <system_error>

namespace faultline::sys {

/// Calls `act`. Returns 0, or a negated errno for std::system_error and std::bad_alloc (-ENOMEM).
template <typename Act>
[[nodiscard]] long errno_of(Act act) noexcept {
    try {
        act();
        return 0;
    } catch (const std::system_error& error) {
        return -error.code().value();
    } catch (const std::bad_alloc&) {
        return -ENOMEM;
    }
}

}  // namespace faultline::sys
