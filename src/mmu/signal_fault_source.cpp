#include "mmu/signal_fault_source.hpp"

#include "core/units.hpp"
#include "mmu/handler_entry.hpp"
#include "mmu/handler_stacks.hpp"
#include "mmu/user_return.hpp"
#include "sys/cpu.hpp"
#include "sys/signal_action.hpp"

#include <ucontext.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <mutex>
#include <new>

namespace faultline::mmu {
namespace {

// Bits of the x86 page fault error code.
constexpr long long kErrorCodeWrite = 2;
constexpr long long kErrorCodeFetch = 16;

/// One signal that delivers faults.
struct Taken {
    int sources = 0;                                // guarded by `installing`
    int interceptions = 0;                          // guarded by `installing`
    sys::SignalAction action;                       // written before our handler is installed, then only read
    std::atomic<Resolver> resolver{nullptr};        // null without sources
    std::atomic<Reporter> reporter{nullptr};        // from the source that was made last
    std::atomic<Interceptor> interceptor{nullptr};  // null without interceptions
};

std::mutex installing;  // serialises calls of sigaction; control path only
Taken bus_error;
Taken segmentation_fault;
std::atomic<sys::SignalAction::Handler> expected_in_front{&faultline_fault_entry};

Taken& taken(int signal) noexcept { return signal == SIGBUS ? bus_error : segmentation_fault; }

core::FaultAccess access_of(const ucontext_t& context) noexcept {
    const long long code = context.uc_mcontext.gregs[REG_ERR];
    if ((code & kErrorCodeFetch) != 0) return core::FaultAccess::execute;
    return (code & kErrorCodeWrite) != 0 ? core::FaultAccess::write : core::FaultAccess::read;
}

/// Returns true if the siginfo may be that of a fault in managed memory. Under userfaultfd a missing or protected page
/// gives BUS_ADRERR. Poison and broken memory give BUS_MCEERR_AR and must not be retried. A protected page gives
/// SEGV_ACCERR, a guard marker SEGV_MAPERR. A signal that was sent has neither code.
bool may_be_ours(const siginfo_t& info) noexcept {
    if (info.si_signo == SIGBUS) return info.si_code == BUS_ADRERR;
    return info.si_code == SEGV_ACCERR || info.si_code == SEGV_MAPERR;
}

bool is_intercepted(const Taken& mine, const siginfo_t& info, ucontext_t& context) noexcept {
    const Interceptor look = mine.interceptor.load(std::memory_order_acquire);
    return look != nullptr && may_be_ours(info) && look(info, context);
}

core::FaultOutcome outcome_of(const Taken& mine, const core::PageFault& fault, const siginfo_t& info) noexcept {
    const Resolver resolver = mine.resolver.load(std::memory_order_acquire);
    if (resolver == nullptr || !may_be_ours(info)) return core::FaultOutcome::not_ours;
    return resolver(fault);
}

Sequel pass_on(int signal, siginfo_t* info, const void* context, SequelData& data) noexcept {
    const sys::SignalAction::Next next = taken(signal).action.next_for(signal, info, context);
    if (next.handler == nullptr) return Sequel::none;
    data.handler = next.handler;
    data.mask = next.mask;
    data.signal = signal;
    return Sequel::call_handler;
}

/// Fills `data` with what the program's violation handler, and then the SIGSEGV handler, are told: what the kernel
/// would have said.
Sequel report_violation(const Taken& mine, const core::PageFault& fault, siginfo_t* info, const void* context,
                        SequelData& data) noexcept {
    data.report.violation.kind = ViolationKind::forbidden;
    if (const Reporter reporter = mine.reporter.load(std::memory_order_acquire)) data.report = reporter(fault);
    // However the page is closed, to the program it is either protected or not mapped.
    info->si_code = data.report.violation.kind == ViolationKind::forbidden ? SEGV_ACCERR : SEGV_MAPERR;
    if (data.report.handler != nullptr) return Sequel::report_violation;
    return pass_on(SIGSEGV, info, context, data);
}

Sequel decide(int signal, siginfo_t* info, void* context, SequelData& data) noexcept {
    if (signal == kReportedViolation) return pass_on(SIGSEGV, info, context, data);
    const Taken& mine = taken(signal);
    ucontext_t& interrupted = *static_cast<ucontext_t*>(context);
    const core::PageFault fault{core::address_of(info->si_addr),
                                access_of(interrupted),
                                core::FaultOrigin::faulting_thread,
                                sys::thread_token(),
                                signal == SIGSEGV,
                                &interrupted};
    if (is_intercepted(mine, *info, interrupted)) return Sequel::none;
    switch (outcome_of(mine, fault, *info)) {
        case core::FaultOutcome::resolved:
        case core::FaultOutcome::already_resolved:
        case core::FaultOutcome::deferred:
            data.resolved = true;
            break;
        case core::FaultOutcome::failed:
            // A failed SIGSEGV has left the page so that the repeated access raises SIGBUS.
            if (signal == SIGBUS) return pass_on(signal, info, context, data);
            break;
        case core::FaultOutcome::access_violation:
            return report_violation(mine, fault, info, context, data);
        case core::FaultOutcome::not_ours:
            return pass_on(signal, info, context, data);
    }
    return Sequel::none;
}

/// Call these three with `installing` held.
bool in_use(const Taken& mine) noexcept { return mine.sources + mine.interceptions > 0; }
void install_once(Taken& mine, int signal) {
    HandlerStacks::prepare();
    if (!in_use(mine)) mine.action.install(signal, &faultline_fault_entry);
}
void uninstall_unused(Taken& mine, int signal) noexcept {
    if (!in_use(mine)) mine.action.uninstall(signal, &faultline_fault_entry);
}

}  // namespace
}  // namespace faultline::mmu

using namespace faultline::mmu;
namespace core = faultline::core;
namespace sys = faultline::sys;

extern "C" {

[[gnu::visibility("hidden"), gnu::used]] Sequel faultline_fault_decide(int signal, siginfo_t* info, void* context,
                                                                       SequelData* data) {
    const int saved_errno = errno;
    const Sequel sequel = decide(signal, info, context, *new (data) SequelData);
    errno = saved_errno;
    return sequel;
}

[[gnu::visibility("hidden"), gnu::used]] bool faultline_fault_report(const core::ViolationReport* report,
                                                                     void* context) {
    const int saved_errno = errno;
    faultline::ViolationAnswer answer{};
    {
        const sys::InterruptedMask as_at_the_access{context};
        answer = report->handler(report->violation, report->context);
    }
    errno = saved_errno;
    return answer == faultline::ViolationAnswer::retry;
}

[[gnu::visibility("hidden"), gnu::used]] bool faultline_fault_here(int signal, siginfo_t* info, void* context) {
    const int saved_errno = errno;
    SequelData data;
    Sequel sequel = decide(signal, info, context, data);
    if (sequel == Sequel::report_violation) {
        if (faultline_fault_report(&data.report, context)) return false;
        sequel = decide(kReportedViolation, info, context, data);
    }
    if (sequel == Sequel::call_handler) sys::SignalAction::call({data.handler, data.mask}, data.signal, info, context);
    errno = saved_errno;
    return data.resolved && may_return_in_user_space(*static_cast<const ucontext_t*>(context));
}
}

namespace faultline::mmu {

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
    return ::sigaction(signal_, nullptr, &current) == 0 && current.sa_sigaction == expected_in_front.load();
}

void expect_in_front(void (*handler)(int, siginfo_t*, void*)) noexcept { expected_in_front.store(handler); }

struct sigaction action_behind(int signal) FAULTLINE_SIGNAL_SAFE {
    return taken(signal).action.previous();
}

void put_action_behind(int signal, const struct sigaction& action) FAULTLINE_SIGNAL_SAFE {
    taken(signal).action.set_previous(action);
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
