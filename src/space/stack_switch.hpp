// Calls a function on another stack and comes back: handles callee-saved registers, floating point control, unwind
// tables, and AddressSanitizer and ThreadSanitizer. It knows nothing of managed memory, and it schedules nothing. Used
// by StackArea and the service stacks.
#pragma once

#include "core/signal_safe.hpp"

#include <ucontext.h>

#include <cstddef>
#include <cstdint>

namespace faultline::space {

/// The caller's side of a call on another stack, for abandoning the call. It is in memory that a signal handler may
/// read. The assembly knows the layout.
struct SwitchPoint {
    void* frame = nullptr;          // rbp of the switching function
    void* stack_pointer = nullptr;  // rsp below the registers that it saved

    /// Returns the address below which the caller's stack is not used. Between it and `stack_pointer` are a return
    /// address and rbp.
    [[nodiscard]] std::uintptr_t unused_below() const noexcept {
        return reinterpret_cast<std::uintptr_t>(stack_pointer) - 16;
    }
};

/// The memory of a stack. `bottom + bytes` is aligned to 16.
struct StackBounds {
    std::byte* bottom;
    std::size_t bytes;
    [[nodiscard]] std::byte* top() const noexcept { return bottom + bytes; }
};

enum class CallEnd { returned, abandoned };

/// Calls `entry(argument)` on the stack. An exception passes through to the caller. Sets `point` before `entry` runs.
CallEnd call_on_stack(StackBounds stack, void (*entry)(void*), void* argument, SwitchPoint& point);

/// Makes the interrupted thread return from the call described by `point`, as `abandoned`, once the signal handler
/// returns. Call it in a handler that runs on another stack.
void abandon_call(ucontext_t& context, const SwitchPoint& point) FAULTLINE_SIGNAL_SAFE;

}  // namespace faultline::space
