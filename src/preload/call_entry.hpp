// The assembly that enters the handler of dispatched calls, and that leaves it while a call waits on the program's
// stack. Used by dispatch.cpp and program_call.cpp. See call_stacks.hpp for the stacks.
#pragma once

#include "preload/call_stacks.hpp"
#include "preload/calls.hpp"
#include "preload/thread_state.hpp"

#include <csignal>
#include <cstddef>
#include <cstdint>

#include <ucontext.h>

namespace faultline::preload {

inline constexpr int kSystemCallDispatched = 2;  // SYS_USER_DISPATCH in siginfo's si_code; glibc has no name for it yet

/// Returns the call that the interrupted thread is about to make.
[[nodiscard]] Call call_in(const ucontext_t& context) noexcept;

/// Handles SIGSYS, on one of the thread's slots if a slot is free. Defined in dispatch.cpp.
void on_call(int signal, siginfo_t* info, void* context);

/// Copies the signal frame that contains `context` to a stack, below `top`, and returns the copy's context. Needs at
/// most frame_bytes() there.
[[nodiscard]] ucontext_t& copy_frame(const ucontext_t& context, std::uint64_t top) noexcept;
[[nodiscard]] std::size_t frame_bytes(const ucontext_t& context) noexcept;

/// One call in progress. Lists the resources that the call holds; frees the call's slot at the end.
class CallScope {
public:
    /// `context`: the context that the handler got. It tells the slot, if the handler runs on one.
    explicit CallScope(const ucontext_t& context) noexcept;
    /// `slot`: the call's; null: it has none, and waits on the current stack.
    explicit CallScope(CallStacks::Slot* slot) noexcept;
    ~CallScope();
    CallScope(const CallScope&) = delete;
    CallScope& operator=(const CallScope&) = delete;

private:
    CallStacks::Slot* slot_;
    CallResource* resources_ = nullptr;  // used if there is no slot
    std::uint64_t outer_stack_;
    CallResource** outer_resources_;
};

}  // namespace faultline::preload

extern "C" {

/// The signal handler that the kernel calls for SIGSYS: moves the signal's frame to a slot and calls on_call there,
/// with the library's thread-local storage (ForeignTls).
void faultline_preload_enter();

/// Makes a system call (number and six arguments) on `stack`, or on the current stack if `stack` is 0. The call runs
/// with the first of the two signal masks; the function returns with the second. Cancellation may unwind the thread
/// from any instruction of this function.
long faultline_preload_call_on(const std::uint64_t* call, std::uint64_t stack, const std::uint64_t* masks);
}
