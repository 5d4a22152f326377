// Makes system calls for the program from inside the handler of SIGSYS: with the program's signal mask, so that signals
// interrupt a call and their handlers run while it waits.
#pragma once

#include "preload/calls.hpp"

#include <cstdint>
#include <ctime>

namespace faultline::preload {

/// Makes the call with the handler's own mask: no signal interrupts it. Signal-safe.
[[nodiscard]] long bare_call(const Call& call) noexcept;

/// Makes the call with the program's `mask`. A cancellation point, and so not noexcept: glibc unwinds the stack of a
/// thread that is cancelled.
[[nodiscard]] long interruptible_call(const Call& call, std::uint64_t mask);

/// Waits with the program's `mask` until poll(2) would report `events`, or an error, of the descriptor. Returns 0 when
/// the time is over (null: never), -EINTR after a signal handler has run. A cancellation point.
[[nodiscard]] long wait_interruptibly(int descriptor, short events, const timespec* time, std::uint64_t mask);

/// Whether a signal that `mask` lets through, and that the program has a handler for, waits to be delivered.
/// Signal-safe.
[[nodiscard]] bool handler_is_due(std::uint64_t mask) noexcept;

}  // namespace faultline::preload
