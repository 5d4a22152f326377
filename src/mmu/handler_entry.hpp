// What the kernel calls for a fault. It resolves the fault on the present stack, or, where that is an alternate stack
// with little room below the signal's frame, on one of HandlerStacks:
//
//     on the present stack               on the pool's                      on the present stack again
//     all signals blocked, take a stack  faultline_fault_decide             give the stack back
//                                                                           return, or call the program's handler
//
// Handlers of the program may leave by siglongjmp, so none runs on a stack of the pool. Up to the call of a handler
// nothing is written to the present stack, which may have no byte left.
#pragma once

#include "core/page_fault.hpp"

#include <csignal>
#include <cstddef>
#include <cstdint>

namespace faultline::mmu {

/// What remains to be done about a fault.
enum class Sequel : int {
    none,
    call_handler,      ///< The program's, for a signal that is not ours.
    report_violation,  ///< To the program's ViolationHandler; faultline_fault_report says what follows.
};

/// What that needs. Read by handler_entry.cpp, by offset.
struct SequelData {
    void (*handler)(int, siginfo_t*, void*) = nullptr;
    std::uint64_t mask = 0;  ///< Blocked while `handler` runs.
    int signal = 0;          ///< Its first argument.
    std::uint64_t unused = 0;
    core::ViolationReport report;
};
static_assert(offsetof(SequelData, mask) == 8 && offsetof(SequelData, signal) == 16 &&
              offsetof(SequelData, report) == 32 && sizeof(core::ViolationReport) == 64 && sizeof(SequelData) == 96);

/// Instead of a signal: the violation was reported, and goes on to the handler of SIGSEGV.
inline constexpr int kReportedViolation = 0x100;

}  // namespace faultline::mmu

extern "C" {

/// The handler of SIGBUS and SIGSEGV: installed, or called by a handler of the program that is in front.
void faultline_fault_entry(int signal, siginfo_t* info, void* context);

// In signal_fault_source.cpp:

/// Resolves a fault, and does all that follows on the same stack.
void faultline_fault_here(int signal, siginfo_t* info, void* context);

/// Resolves a fault, and returns what must follow on the stack that the fault was delivered on. Always returns.
faultline::mmu::Sequel faultline_fault_decide(int signal, siginfo_t* info, void* context,
                                              faultline::mmu::SequelData* data);

/// Calls the program's handler of violations. Returns whether the access is to be repeated.
bool faultline_fault_report(const faultline::core::ViolationReport* report, void* context);
}
