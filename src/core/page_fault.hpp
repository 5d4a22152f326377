// A page fault and its outcome, as values. A fault source makes a PageFault from what the hardware or kernel reports
// and passes it to the pager, which returns a FaultOutcome. Resuming or signalling the faulting thread is the
// fault source's work.
#pragma once

#include <faultline/access_violation.hpp>

#include <cstdint>

namespace faultline::core {

enum class FaultAccess : std::uint8_t { read, write, execute };

/// Which thread brings the fault to the pager. It decides whether that thread may sleep.
enum class FaultOrigin : std::uint8_t {
    faulting_thread,  ///< The thread that needs the page. It may sleep while another thread fills the page.
    handler_thread,   ///< A thread that serves all others. It never sleeps for a page that another thread fills.
    control_call,     ///< A call of the program that needs the page (Pin). It may sleep, like the faulting thread.
};

struct PageFault {
    std::uintptr_t address = 0;  ///< The exact address, not rounded down to a page.
    FaultAccess access = FaultAccess::read;
    FaultOrigin origin = FaultOrigin::faulting_thread;
    std::uint64_t thread = 0;  ///< Any value that is unique among the living threads.
    /// True: the mapping's protection refused the access (SIGSEGV). False: the page is missing or write-protected.
    bool refused = false;
    /// The ucontext_t of the thread that faulted, while its signal handler runs; null if the fault did not come as a
    /// signal. Only for samples of call stacks: the pager changes nothing in it.
    const void* interrupted = nullptr;
};

enum class FaultOutcome : std::uint8_t {
    resolved,  ///< The page is mapped: the access succeeds when repeated. The mapper has woken waiters in the kernel.
    already_resolved,  ///< Another thread resolved the fault before. The fault source must wake waiters in the kernel.
    deferred,  ///< Another thread is resolving the fault and will wake the faulting thread. Handler threads only.
    not_ours,  ///< No region contains the address.
    failed,    ///< The page's bytes cannot be read: SIGBUS at the address.
    access_violation,  ///< The region forbids this access: SIGSEGV at the address, if the MMU does not raise it itself.
};

/// Describes a forbidden access, and names the program's handler for it (null: none).
struct ViolationReport {
    AccessViolation violation;
    ViolationHandler handler = nullptr;
    void* context = nullptr;  ///< Passed to `handler`.
};

}  // namespace faultline::core
