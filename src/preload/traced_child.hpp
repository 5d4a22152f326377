// TracedChild: children of vfork that ask to be traced (PTRACE_TRACEME) before they start a program, as gdb's do.
// Their parent, which traces them, waits for the exec. A traced thread stops at each signal until the parent continues
// it, and dispatched calls and absent pages raise signals: both processes would wait for ever. So the request is kept,
// and made directly before the exec. It is not for children of fork: their parents can continue them. dispatch.cpp and
// calls.cpp call it.
#pragma once

#include "preload/calls.hpp"

namespace faultline::preload {

class TracedChild {
public:
    /// Returns true, and keeps the request, if `call` is PTRACE_TRACEME by a child of vfork. Signal-safe.
    [[nodiscard]] static bool keeps(const Call& call) noexcept;

    /// Makes the calling child's request, if it has made one, unless the kernel would refuse the exec `call` of `path`:
    /// then the child goes on, and must not be traced. No signal may be raised between this and the exec. Signal-safe.
    static void begin_before(const Call& call, const char* path) noexcept;
};

}  // namespace faultline::preload
