// The program's alternate signal stack (sigaltstack(2)).
// The kernel writes to that stack, cannot wait for absent pages there, and a dispatched thread always needs one. The
// kernel gets a stack of ours if the program has set none, if its own is managed memory, or if its own is too small for
// a call's handler on top of a signal's.
// The program's sigaltstack still returns the stack that the program has set. In a handler that runs on a stack of
// ours, it returns ours.
#pragma once

#include <csignal>
#include <cstdint>

#include <ucontext.h>

namespace faultline::preload {

/// Measures the size of signal frames. Called at the start; until then a guess is used.
void measure_signal_frames() noexcept;

/// Does what sigaltstack(2) does for the thread that continues at `context`. `given` and `previous` are the call's
/// arguments: addresses, or 0. Returns 0 or a negated errno. Signal-safe.
[[nodiscard]] long change_alternate_stack(ucontext_t& context, std::uint64_t given, std::uint64_t previous) noexcept;

}  // namespace faultline::preload
