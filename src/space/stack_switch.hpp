// The switch to another stack and back, as a call: callee-saved registers, floating point control, unwind tables, and
// what AddressSanitizer and ThreadSanitizer must be told. It knows no managed memory, and nobody is scheduled here.
#pragma once

#include "core/signal_safe.hpp"

#include <ucontext.h>

#include <cstddef>
#include <cstdint>

namespace faultline::space {

/// Where a call on another stack came from, for who abandons it. In memory that a signal handler may read. The layout
/// is known to the assembly.
struct SwitchPoint {
    void* frame = nullptr;          // of the switching function: rbp
    void* stack_pointer = nullptr;  // below what it has saved

    /// What is below this address of the stack that was left is not used: a return address and rbp follow.
    [[nodiscard]] std::uintptr_t unused_below() const noexcept {
        return reinterpret_cast<std::uintptr_t>(stack_pointer) - 16;
    }
};

/// Memory to be used as stack; `bottom + bytes` is aligned to 16.
struct StackBounds {
    std::byte* bottom;
    std::size_t bytes;
    [[nodiscard]] std::byte* top() const noexcept { return bottom + bytes; }
};

enum class CallEnd { returned, abandoned };

/// Calls `entry(argument)` on the stack. An exception passes through to the caller. `point` is set before `entry` runs.
CallEnd call_on_stack(StackBounds stack, void (*entry)(void*), void* argument, SwitchPoint& point);

/// Lets the interrupted thread, which is in a call that `point` tells of, go on where that was made: it comes back as
/// `abandoned` once the signal handler returns. From a handler on another stack.
void abandon_call(ucontext_t& context, const SwitchPoint& point) FAULTLINE_SIGNAL_SAFE;

}  // namespace faultline::space
