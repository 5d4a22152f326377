// SignalFaultSource: the faulting thread resolves its own fault, inside a handler of SIGBUS (userfaultfd's signal mode)
// or SIGSEGV (protection) that the process has once. What is not ours, by address, goes on to the handler that was
// there before, with the same siginfo. Which stack the handler runs on: see handler_entry.hpp.
//
// FaultInterception: the same handler asks somebody else first, who may send the thread elsewhere.
#pragma once

#include "core/signal_safe.hpp"
#include "mmu/fault_source.hpp"

#include <ucontext.h>

#include <csignal>

namespace faultline::mmu {

/// While at least one of these lives for a signal, that signal of this process goes through `resolver`, and what it
/// says is not allowed through `reporter` (which must be the same for all).
class SignalFaultSource {
public:
    /// `signal`: SIGBUS or SIGSEGV. Throws std::system_error.
    SignalFaultSource(int signal, Resolver resolver, Reporter reporter);
    ~SignalFaultSource();
    SignalFaultSource(const SignalFaultSource&) = delete;
    SignalFaultSource& operator=(const SignalFaultSource&) = delete;

    /// False when the program has put a handler of its own in front of ours: managed memory then lives from that
    /// handler calling ours.
    [[nodiscard]] bool in_front() const noexcept;

    [[nodiscard]] int signal() const noexcept { return signal_; }

private:
    int signal_;
};

/// The program's own action for a signal that a source takes, which gets what is not ours. `put_action_behind` is for
/// one caller at a time, with all signals blocked. Signal-safe.
[[nodiscard]] struct sigaction action_behind(int signal) FAULTLINE_SIGNAL_SAFE;
void put_action_behind(int signal, const struct sigaction& action) FAULTLINE_SIGNAL_SAFE;

/// Looks at a fault before anybody else. Returns true when the fault is dealt with: the thread goes on where `context`
/// says by then. All signals are blocked. Signal-safe.
using Interceptor = bool (*)(const siginfo_t& info, ucontext_t& context) noexcept;

/// While at least one of these lives for a signal, `look` (which must be the same for all) sees its faults first.
class FaultInterception {
public:
    /// `signal`: SIGBUS or SIGSEGV. Throws std::system_error.
    FaultInterception(int signal, Interceptor look);
    ~FaultInterception();
    FaultInterception(const FaultInterception&) = delete;
    FaultInterception& operator=(const FaultInterception&) = delete;

private:
    int signal_;
};

}  // namespace faultline::mmu
