// Makes system calls for the program from inside the SIGSYS handler, with the program's signal mask: signals interrupt
// a call, and their handlers run while it waits.
// Used by make_call and by the transfers. It neither pins memory nor changes the call's arguments.
#pragma once

#include "preload/calls.hpp"

#include <cstdint>
#include <ctime>

namespace faultline::preload {

/// Makes the call with the handler's own mask, so that no signal interrupts it. Signal-safe.
[[nodiscard]] long bare_call(const Call& call) noexcept;

/// Makes the call with the program's `mask`. A cancellation point, and so not noexcept: glibc unwinds the stack of a
/// cancelled thread.
[[nodiscard]] long interruptible_call(const Call& call, std::uint64_t mask);

/// Waits with the program's `mask` until poll(2) reports `events` or an error on the descriptor. Returns 0 when `time`
/// is over (null: wait forever), -EINTR after a signal handler has run. A cancellation point.
[[nodiscard]] long wait_interruptibly(int descriptor, short events, const timespec* time, std::uint64_t mask);

/// Returns true if a signal is pending that `mask` does not block and that the program handles. Signal-safe.
[[nodiscard]] bool handler_is_due(std::uint64_t mask) noexcept;

}  // namespace faultline::preload
