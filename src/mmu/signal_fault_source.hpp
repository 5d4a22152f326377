// SignalFaultSource: the faulting thread resolves its own fault, inside a SIGBUS handler that the process has once.
// What is not ours, by address, goes on to the handler that was there before, with the same siginfo.
#pragma once

#include "mmu/fault_source.hpp"

namespace faultline::mmu {

/// While at least one of these lives, SIGBUS of this process goes through `resolver` (which must be the same for all).
class SignalFaultSource {
public:
    /// Throws std::system_error.
    explicit SignalFaultSource(Resolver resolver);
    ~SignalFaultSource();
    SignalFaultSource(const SignalFaultSource&) = delete;
    SignalFaultSource& operator=(const SignalFaultSource&) = delete;
};

}  // namespace faultline::mmu
