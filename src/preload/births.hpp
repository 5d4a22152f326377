// Births: children that begin in the memory of their parent. Such are the threads that the C library makes for itself
// (timers, asynchronous I/O, lookups of names) and the children of vfork and posix_spawn. The kernel does not dispatch
// the calls of any new thread, and so a child would block, or reset, the signals that faults arrive by. The call that
// makes one is therefore made by code of this library, where the child and the parent both come out of it.
#pragma once

#include "preload/calls.hpp"

#include <ucontext.h>

#include <cstdint>

namespace faultline::preload {

/// Whether the call makes a child that shares the caller's memory: it cannot be made on the stack of a handler.
[[nodiscard]] bool begins_in_shared_memory(const Call& call) noexcept;

/// Sends the interrupted thread to code of this library that makes the call; the thread and its child then go on behind
/// the place in `context`, with the same registers and signal mask, and the child's calls are dispatched. Returns false
/// where that cannot be done: for a child that shares the caller's thread-local storage and runs beside it.
[[nodiscard]] bool send_to_give_birth(ucontext_t& context, const Call& call) noexcept;

/// Whether the calling thread is that of a child of vfork or posix_spawn, whose parent waits for it: what it changes of
/// its own process must not be changed in memory, which is its parent's.
[[nodiscard]] bool in_child_of_vfork() noexcept;

}  // namespace faultline::preload
