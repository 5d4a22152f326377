#include "mmu/signal_fault_source.hpp"

#include "core/units.hpp"
#include "sys/cpu.hpp"
#include "sys/signal_action.hpp"

#include <ucontext.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <mutex>

namespace faultline::mmu {
namespace {

// Bits of the x86 page fault error code.
constexpr long long kErrorCodeWrite = 2;
constexpr long long kErrorCodeFetch = 16;

/// One signal that faults come by.
struct Taken {
    int users = 0;             // guarded by `installing`
    sys::SignalAction action;  // written before our handler is in place, then only read
};

std::mutex installing;  // the calls to sigaction; control path only
Taken bus_error;
Taken segmentation_fault;
std::atomic<Resolver> current_resolver{nullptr};
std::atomic<Reporter> current_reporter{nullptr};

Taken& taken(int signal) noexcept { return signal == SIGBUS ? bus_error : segmentation_fault; }

core::FaultAccess access_of(const ucontext_t& context) noexcept {
    const long long code = context.uc_mcontext.gregs[REG_ERR];
    if ((code & kErrorCodeFetch) != 0) return core::FaultAccess::execute;
    return (code & kErrorCodeWrite) != 0 ? core::FaultAccess::write : core::FaultAccess::read;
}

/// A missing or protected page says BUS_ADRERR under userfaultfd; poison and broken memory say BUS_MCEERR_AR and must
/// not be tried again. A protection says SEGV_ACCERR, a guard SEGV_MAPERR; a signal that was sent says neither.
bool may_be_ours(const siginfo_t& info) noexcept {
    if (info.si_signo == SIGBUS) return info.si_code == BUS_ADRERR;
    return info.si_code == SEGV_ACCERR || info.si_code == SEGV_MAPERR;
}

/// The program's handler, and then whoever handles SIGSEGV, are told what the kernel would have said.
void report_violation(const core::PageFault& fault, siginfo_t* info, void* context) noexcept {
    core::ViolationReport report;
    report.violation.kind = ViolationKind::forbidden;
    if (const Reporter reporter = current_reporter.load(std::memory_order_acquire)) report = reporter(fault);
    if (report.handler != nullptr) {
        ViolationAnswer answer{};
        {
            const sys::InterruptedMask as_at_the_access{context};
            answer = report.handler(report.violation, report.context);
        }
        if (answer == ViolationAnswer::retry) return;
    }
    // Whatever hides the page, to the program it is protected, or nothing is there.
    info->si_code = report.violation.kind == ViolationKind::forbidden ? SEGV_ACCERR : SEGV_MAPERR;
    taken(SIGSEGV).action.pass_on(SIGSEGV, info, context);
}

void on_fault(int signal, siginfo_t* info, void* context) {
    const int saved_errno = errno;
    const Resolver resolver = current_resolver.load(std::memory_order_acquire);
    const core::PageFault fault{core::address_of(info->si_addr), access_of(*static_cast<ucontext_t*>(context)),
                                core::FaultOrigin::faulting_thread, sys::thread_token(), signal == SIGSEGV};
    core::FaultOutcome outcome = core::FaultOutcome::not_ours;
    if (resolver != nullptr && may_be_ours(*info)) outcome = resolver(fault);
    switch (outcome) {
        case core::FaultOutcome::resolved:
        case core::FaultOutcome::already_resolved:
        case core::FaultOutcome::deferred:
            break;
        case core::FaultOutcome::failed:
            // A failed SIGSEGV has left its page so that the repeated access raises SIGBUS.
            if (signal == SIGBUS) taken(signal).action.pass_on(signal, info, context);
            break;
        case core::FaultOutcome::access_violation:
            report_violation(fault, info, context);
            break;
        case core::FaultOutcome::not_ours:
            taken(signal).action.pass_on(signal, info, context);
            break;
    }
    errno = saved_errno;
}

}  // namespace

SignalFaultSource::SignalFaultSource(int signal, Resolver resolver, Reporter reporter) : signal_{signal} {
    const std::lock_guard lock{installing};
    current_resolver.store(resolver, std::memory_order_release);
    current_reporter.store(reporter, std::memory_order_release);
    Taken& mine = taken(signal);
    if (mine.users == 0) mine.action.install(signal, &on_fault);
    ++mine.users;
}

SignalFaultSource::~SignalFaultSource() {
    const std::lock_guard lock{installing};
    Taken& mine = taken(signal_);
    if (--mine.users == 0) mine.action.uninstall(signal_, &on_fault);
}

bool SignalFaultSource::in_front() const noexcept {
    struct sigaction current {};
    return ::sigaction(signal_, nullptr, &current) == 0 && current.sa_sigaction == &on_fault;
}

}  // namespace faultline::mmu
