// Makes the calls (clone, clone3, vfork) that create children in their parent's memory: threads that the C library
// creates for itself (timers, asynchronous I/O, name lookups), and children of vfork and posix_spawn.
// The kernel does not dispatch the calls of a new thread. Such a child would therefore block, or reset, the signals
// that report faults. So code of this library makes the call, and both parent and child return through it. The dispatch
// handler calls these functions. Threads of pthread_create are not handled here, but in thread_functions.cpp.
#pragma once

#include "preload/calls.hpp"

#include <ucontext.h>

#include <cstdint>

namespace faultline::preload {

/// Returns true if the call creates a child that shares the caller's memory. A signal handler cannot make such a call
/// on its own stack.
[[nodiscard]] bool creates_child_in_same_memory(const Call& call) noexcept;

/// Makes the interrupted thread run code of this library that makes the call. The thread and its child then continue
/// after the instruction in `context`, with the same registers and signal mask, and the child's calls are dispatched.
/// Returns false if the child would share the caller's thread-local storage and run beside it: that is not possible.
[[nodiscard]] bool redirect_to_clone(ucontext_t& context, const Call& call) noexcept;

/// Returns true in a child of vfork or posix_spawn, whose parent waits for it. Such a child shares its parent's memory,
/// so changes of its own process state must not be recorded there.
[[nodiscard]] bool in_child_of_vfork() noexcept;

}  // namespace faultline::preload
