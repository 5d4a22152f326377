// The way into the handler of dispatched calls, and out of it for as long as a call waits. See call_stacks.hpp.
#pragma once

#include "preload/call_stacks.hpp"
#include "preload/calls.hpp"
#include "preload/thread_state.hpp"

#include <csignal>
#include <cstdint>

#include <ucontext.h>

namespace faultline::preload {

inline constexpr int kSystemCallDispatched =
    2;  // SYS_USER_DISPATCH of siginfo's si_code, which glibc does not name yet

/// The call that a thread is about to make.
[[nodiscard]] Call call_in(const ucontext_t& context) noexcept;

/// The handler of SIGSYS, on a slot of the thread's where it has one. In dispatch.cpp.
void on_call(int signal, siginfo_t* info, void* context);

/// One call in progress: what it holds is listed, and its slot is free when it ends.
class CallScope {
public:
    /// `context`: where the handler has its own, which says which slot it is on.
    explicit CallScope(const void* context) noexcept;
    ~CallScope();
    CallScope(const CallScope&) = delete;
    CallScope& operator=(const CallScope&) = delete;

private:
    CallStacks::Slot* slot_;
    CallResource* resources_ = nullptr;  // where there is no slot
    std::uint64_t outer_stack_;
    CallResource** outer_resources_;
};

}  // namespace faultline::preload

extern "C" {

/// What the kernel calls for SIGSYS: moves the signal's frame to a slot, and calls on_call there.
void faultline_preload_enter();

/// Makes a system call (number and six arguments) on another stack, or on the present one where `stack` is 0, with the
/// first of two signal masks, and returns with the second. A cancelled thread is unwound from any instruction of it.
long faultline_preload_call_on(const std::uint64_t* call, std::uint64_t stack, const std::uint64_t* masks);
}
