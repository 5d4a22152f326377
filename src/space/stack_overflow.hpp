// Decides, inside the handler of SIGSEGV, whether a fault is the overflow of a stack, and then lets its `run` return.
#pragma once

#include <ucontext.h>

#include <csignal>

namespace faultline::space {

/// An mmu::Interceptor.
bool leave_overflowed_stack(const siginfo_t& info, ucontext_t& context) noexcept;

}  // namespace faultline::space
