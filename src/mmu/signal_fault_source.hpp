// SignalFaultSource: the faulting thread resolves its own fault in a signal handler. The signal is SIGBUS
// (userfaultfd's signal mode) or SIGSEGV (page protection). The process has one handler for each. A fault outside
// managed memory goes on to the previous handler, with the same siginfo. handler_entry.hpp says on which stack the
// handler runs.
//
// FaultInterception: lets a function look at faults first; it may make the thread continue elsewhere.
#pragma once

#include "core/signal_safe.hpp"
#include "mmu/fault_source.hpp"

#include <ucontext.h>

#include <csignal>

namespace faultline::mmu {

/// While at least one of these exists for a signal, `resolver` gets the faults of that signal. `reporter` describes
/// access violations; it must be the same for all sources.
class SignalFaultSource {
public:
    /// `signal`: SIGBUS or SIGSEGV. Throws std::system_error.
    SignalFaultSource(int signal, Resolver resolver, Reporter reporter);
    ~SignalFaultSource();
    SignalFaultSource(const SignalFaultSource&) = delete;
    SignalFaultSource& operator=(const SignalFaultSource&) = delete;

    /// Returns false if the program has installed a handler in front of ours. Managed memory then works only while that
    /// handler chains to ours.
    [[nodiscard]] bool in_front() const noexcept;

    [[nodiscard]] int signal() const noexcept { return signal_; }

private:
    int signal_;
};

/// The program's own action for a signal that a source handles; it gets the faults that are not in managed memory.
/// `put_action_behind` needs one caller at a time, with all signals blocked. Signal-safe.
[[nodiscard]] struct sigaction action_behind(int signal) FAULTLINE_SIGNAL_SAFE;
void put_action_behind(int signal, const struct sigaction& action) FAULTLINE_SIGNAL_SAFE;

/// Tells SignalFaultSource::in_front that `handler`, which the caller installs with sigaction(2), calls
/// faultline_fault_entry for each signal that it gets. One handler for all signals; call while the process has one
/// thread.
void expect_in_front(void (*handler)(int, siginfo_t*, void*)) noexcept;

/// Looks at a fault before the resolver. Returns true if it handled the fault: the thread then continues with the
/// changed `context`. All signals are blocked. Signal-safe.
using Interceptor = bool (*)(const siginfo_t& info, ucontext_t& context) noexcept;

/// While at least one of these exists for a signal, `look` sees the signal's faults first. `look` must be the same for
/// all.
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
