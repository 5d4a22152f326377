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
    int sources = 0;                                // guarded by `installing`
    int interceptions = 0;                          // guarded by `installing`
    sys::SignalAction action;                       // written before our handler is in place, then only read
    std::atomic<Resolver> resolver{nullptr};        // null without sources
    std::atomic<Reporter> reporter{nullptr};        // as the last source said
    std::atomic<Interceptor> interceptor{nullptr};  // null without interceptions
};

std::mutex installing;  // the calls to sigaction; control path only
Taken bus_error;
Taken segmentation_fault;

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

bool is_intercepted(const Taken& mine, const siginfo_t& info, ucontext_t& context) noexcept {
    const Interceptor look = mine.interceptor.load(std::memory_order_acquire);
    return look != nullptr && may_be_ours(info) && look(info, context);
}

/// The program's handler, and then whoever handles SIGSEGV, are told what the kernel would have said.
void report_violation(const Taken& mine, const core::PageFault& fault, siginfo_t* info, void* context) noexcept {
    core::ViolationReport report;
    report.violation.kind = ViolationKind::forbidden;
    if (const Reporter reporter = mine.reporter.load(std::memory_order_acquire)) report = reporter(fault);
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
    const Taken& mine = taken(signal);
    ucontext_t& interrupted = *static_cast<ucontext_t*>(context);
    const core::PageFault fault{core::address_of(info->si_addr), access_of(interrupted),
                                core::FaultOrigin::faulting_thread, sys::thread_token(), signal == SIGSEGV};
    const Resolver resolver = mine.resolver.load(std::memory_order_acquire);
    core::FaultOutcome outcome = core::FaultOutcome::not_ours;
    if (is_intercepted(mine, *info, interrupted)) {
        outcome = core::FaultOutcome::resolved;
    } else if (resolver != nullptr && may_be_ours(*info)) {
        outcome = resolver(fault);
    }
    switch (outcome) {
        case core::FaultOutcome::resolved:
        case core::FaultOutcome::already_resolved:
        case core::FaultOutcome::deferred:
            break;
        case core::FaultOutcome::failed:
            // A failed SIGSEGV has left its page so that the repeated access raises SIGBUS.
            if (signal == SIGBUS) mine.action.pass_on(signal, info, context);
            break;
        case core::FaultOutcome::access_violation:
            report_violation(mine, fault, info, context);
            break;
        case core::FaultOutcome::not_ours:
            mine.action.pass_on(signal, info, context);
            break;
    }
    errno = saved_errno;
}

/// With `installing` held.
bool in_use(const Taken& mine) noexcept { return mine.sources + mine.interceptions > 0; }
void install_once(Taken& mine, int signal) {
    if (!in_use(mine)) mine.action.install(signal, &on_fault);
}
void uninstall_unused(Taken& mine, int signal) noexcept {
    if (!in_use(mine)) mine.action.uninstall(signal, &on_fault);
}

}  // namespace

SignalFaultSource::SignalFaultSource(int signal, Resolver resolver, Reporter reporter) : signal_{signal} {
    const std::lock_guard lock{installing};
    Taken& mine = taken(signal);
    mine.resolver.store(resolver, std::memory_order_release);
    mine.reporter.store(reporter, std::memory_order_release);
    install_once(mine, signal);
    ++mine.sources;
}

SignalFaultSource::~SignalFaultSource() {
    const std::lock_guard lock{installing};
    Taken& mine = taken(signal_);
    if (--mine.sources == 0) mine.resolver.store(nullptr, std::memory_order_release);
    uninstall_unused(mine, signal_);
}

bool SignalFaultSource::in_front() const noexcept {
    struct sigaction current {};
    return ::sigaction(signal_, nullptr, &current) == 0 && current.sa_sigaction == &on_fault;
}

struct sigaction action_behind(int signal) FAULTLINE_SIGNAL_SAFE {
    return taken(signal).action.behind();
}

void put_action_behind(int signal, const struct sigaction& action) FAULTLINE_SIGNAL_SAFE {
    taken(signal).action.put_behind(action);
}

FaultInterception::FaultInterception(int signal, Interceptor look) : signal_{signal} {
    const std::lock_guard lock{installing};
    Taken& mine = taken(signal);
    mine.interceptor.store(look, std::memory_order_release);
    install_once(mine, signal);
    ++mine.interceptions;
}

FaultInterception::~FaultInterception() {
    const std::lock_guard lock{installing};
    Taken& mine = taken(signal_);
    if (--mine.interceptions == 0) mine.interceptor.store(nullptr, std::memory_order_release);
    uninstall_unused(mine, signal_);
}

}  // namespace faultline::mmu
