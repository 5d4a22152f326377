// ProgramForks: the forks of a static program. The clone call of the program is not made: the library forks through its
// own C library, whose fork handlers give the child a pager of its own.
#pragma once

#include "preload/calls.hpp"

#include <ucontext.h>

namespace faultline::preload {

class ProgramForks {
public:
    /// Returns true if the call creates a process with a copy of the caller's memory.
    [[nodiscard]] static bool is_fork(const Call& call) noexcept;

    /// Forks. Returns what the call returns, in parent and child; in the child, changes `context` so that the program
    /// continues on the stack that it named. EINVAL: the call has flags that fork(3) has no counterpart for
    /// (namespaces, CLONE_PIDFD, ...). Call inside the library, with the signals of kHandlerMask blocked.
    [[nodiscard]] static long make(ucontext_t& context, const Call& call) noexcept;
};

}  // namespace faultline::preload
