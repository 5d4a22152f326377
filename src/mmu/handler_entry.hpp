// The signal handler of SIGBUS and SIGSEGV, which the kernel calls for a fault. It resolves the fault on the current
// stack. If that is an alternate signal stack with too little room below the signal frame, it switches to one of
// HandlerStacks:
//
//     on the current stack               on the pool's stack                on the current stack again
//     block all signals, take a stack    faultline_fault_decide             give the stack back
//                                                                           return, or call the program's handler
//
// The program's handlers run on the current stack only, because they may leave by siglongjmp. Until such a handler is
// called, the entry code writes nothing to the current stack, which may have no byte left.
//
// A resolved fault returns in user space if its frame allows that (user_return.hpp), else through the kernel.
#pragma once

#include "core/page_fault.hpp"

#include <csignal>
#include <cstddef>
#include <cstdint>

namespace faultline::mmu {

/// What the entry code must do after the fault was decided.
enum class Sequel : int {
    none,
    call_handler,      ///< Call the program's handler: the signal is not for managed memory.
    report_violation,  ///< Call the program's ViolationHandler; faultline_fault_report returns what follows.
};

/// The arguments of a Sequel. handler_entry.cpp reads them by offset.
struct SequelData {
    void (*handler)(int, siginfo_t*, void*) = nullptr;
    std::uint64_t mask = 0;  ///< Signals blocked while `handler` runs.
    int signal = 0;          ///< First argument of `handler`.
    bool resolved = false;   ///< The access is to be repeated, and nothing in the context has changed.
    std::uint64_t unused = 0;
    core::ViolationReport report;
};
static_assert(offsetof(SequelData, mask) == 8 && offsetof(SequelData, signal) == 16 &&
              offsetof(SequelData, report) == 32 && sizeof(core::ViolationReport) == 64 && sizeof(SequelData) == 96);

/// Passed in place of a signal number: the violation was reported, and the fault goes on to the SIGSEGV handler.
inline constexpr int kReportedViolation = 0x100;

}  // namespace faultline::mmu

extern "C" {

/// Handles SIGBUS and SIGSEGV. The kernel calls it, or a handler that the program installed in front of it.
void faultline_fault_entry(int signal, siginfo_t* info, void* context);

// Defined in signal_fault_source.cpp:

/// Resolves a fault and does everything that follows on the same stack. Returns true if the interrupted code may be
/// continued by faultline_return_in_user_space.
bool faultline_fault_here(int signal, siginfo_t* info, void* context);

/// Resolves a fault and returns what must follow on the stack that the fault was delivered on. Always returns.
faultline::mmu::Sequel faultline_fault_decide(int signal, siginfo_t* info, void* context,
                                              faultline::mmu::SequelData* data);

/// Calls the program's violation handler. Returns true if the access is to be repeated.
bool faultline_fault_report(const faultline::core::ViolationReport* report, void* context);
}
