// Injects kernel errors: runs a child in which chosen system calls sometimes fail, on every thread. The test answers
// them from outside with seccomp's user notification (Linux 5.7). Needs no privilege.
#pragma once

#include "support/child.hpp"

#include <cstdint>
#include <functional>
#include <optional>

namespace faultline::test {

struct Injection {
    long call = 0;                            ///< SYS_...
    std::optional<std::uint32_t> argument{};  ///< Only calls with this second argument: the request of an ioctl.
    int error = 0;                            ///< The errno of a failing call.
    unsigned first = 1;                       ///< The first call that fails, counted from 1.
    unsigned every = 0;                       ///< After that, one call in so many fails; 0: no other.
    unsigned last = ~0U;                      ///< No call after this one fails.
};

struct InjectedEnd {
    ChildEnd end;
    unsigned calls = 0;   ///< Calls that could have failed.
    unsigned failed = 0;  ///< Calls that failed.
};

/// Forks as in_child does. `prepare` runs in the child before calls fail; the function that it returns runs while they
/// do. Returns nothing if this kernel has no user notification.
std::optional<InjectedEnd> in_child_with(const Injection& injection,
                                         const std::function<std::function<int()>()>& prepare);

}  // namespace faultline::test
