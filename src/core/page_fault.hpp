// A page fault as a value, and its answer as a value. Fault sources make the one, the pager returns the other.
#pragma once

#include <faultline/access_violation.hpp>

#include <cstdint>

namespace faultline::core {

enum class FaultAccess : std::uint8_t { read, write, execute };

/// Who carries the fault to the pager, and so who may wait.
enum class FaultOrigin : std::uint8_t {
    faulting_thread,  ///< The thread that needs the page: may sleep until somebody else has brought it in.
    handler_thread,   ///< Serves all threads: never sleeps for a page that somebody else is bringing in.
    control_call,     ///< The program asked for the page (Pin): like the faulting thread.
};

struct PageFault {
    std::uintptr_t address = 0;  ///< Exact, not rounded.
    FaultAccess access = FaultAccess::read;
    FaultOrigin origin = FaultOrigin::faulting_thread;
    std::uint64_t thread = 0;  ///< Tells threads apart; any value that is unique among those that live.
    bool refused = false;      ///< By the mapping's protection (SIGSEGV); else something is missing or write-protected.
};

enum class FaultOutcome : std::uint8_t {
    resolved,          ///< Mapped: the access will succeed when repeated (the mapper has woken kernel waiters).
    already_resolved,  ///< Nothing was left to do; whoever sleeps in the kernel must be woken by the source.
    deferred,          ///< Another thread is at it and will wake the one that faulted (handler threads only).
    not_ours,          ///< No region there.
    failed,            ///< The page cannot come: SIGBUS at the address.
    access_violation,  ///< The program may not do that there: SIGSEGV at the address (where the MMU does not say so).
};

/// What there is to say of an access that is not allowed, and the program's handler for it, if any.
struct ViolationReport {
    AccessViolation violation;
    ViolationHandler handler = nullptr;
    void* context = nullptr;  ///< The handler's.
};

}  // namespace faultline::core
