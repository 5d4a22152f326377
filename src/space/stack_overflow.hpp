// Decides in the SIGSEGV handler whether a fault is a stack overflow. If it is one inside a `run`, makes that `run`
// return. It does not know how stacks are laid out: StackArea does, and registers this interceptor.
#pragma once

#include <ucontext.h>

#include <csignal>

namespace faultline::space {

/// An mmu::Interceptor. Returns true if it has handled the signal: then `context` resumes where `run` was called.
/// Reports an overflow outside a `run` on standard error and returns false. Signal-safe.
bool abandon_overflowed_stack(const siginfo_t& info, ucontext_t& context) noexcept;

}  // namespace faultline::space
