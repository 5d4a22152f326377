// The program's alternate signal stack (sigaltstack(2)). The kernel writes to it, and cannot wait for absent pages; and
// a dispatched thread always has one. So the kernel is given a stack of ours where the program has none, where its own
// is managed memory, and where its own is too small for a call's handler on top of a signal's. The program is told what
// it has given; a handler that runs on a stack of ours is told of that stack.
#pragma once

#include <csignal>

#include <ucontext.h>

namespace faultline::preload {

/// Asks how large the frames of signals are. At the start; before, a guess holds.
void measure_signal_frames() noexcept;

/// sigaltstack(2) of a thread, which goes on as `context` says. Returns 0 or a negated errno. Signal-safe.
[[nodiscard]] long change_alternate_stack(ucontext_t& context, const stack_t* given, stack_t* previous) noexcept;

}  // namespace faultline::preload
