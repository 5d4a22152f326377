// Errors of the kernel, made to order: a child in which chosen system calls fail now and then, on every thread, while
// the test, outside, answers for the kernel (seccomp's user notification, Linux 5.7). Needs no privilege.
#pragma once

#include "support/child.hpp"

#include <cstdint>
#include <functional>
#include <optional>

namespace faultline::test {

struct Injection {
    long call = 0;                            ///< SYS_...
    std::optional<std::uint32_t> argument{};  ///< Only calls whose second argument is this: the request of an ioctl.
    int error = 0;                            ///< What a failing call returns.
    unsigned first = 1;                       ///< The first one that fails, counted from 1,
    unsigned every = 0;                       ///< and then one in so many; 0: only that one.
    unsigned last = ~0U;                      ///< None after this one fails.
};

struct InjectedEnd {
    ChildEnd end;
    unsigned calls = 0;   ///< That could have failed.
    unsigned failed = 0;  ///< That did.
};

/// Forks as in_child. `prepare` runs in the child before calls fail, and what it returns runs while they do. Nothing
/// where this kernel has no user notification.
std::optional<InjectedEnd> in_child_with(const Injection& injection,
                                         const std::function<std::function<int()>()>& prepare);

}  // namespace faultline::test
