#include "mmu/signal_fault_source.hpp"

#include "core/units.hpp"
#include "sys/cpu.hpp"
#include "sys/signal_action.hpp"

#include <ucontext.h>

#include <atomic>
#include <cerrno>
#include <mutex>

namespace faultline::mmu {
namespace {

constexpr long long kErrorCodeWrite = 2;  // bit 1 of the x86 page fault error code

#ifndef BUS_MCEERR_AR
#define BUS_MCEERR_AR 4
#endif

std::mutex installing;  // guards `users` and the calls to sigaction; control path only
int users = 0;
sys::SignalAction bus_action;  // written before our handler is in place, then only read
std::atomic<Resolver> current_resolver{nullptr};

core::PageFault page_fault_from(const siginfo_t& info, const ucontext_t& context) noexcept {
    const bool write = (context.uc_mcontext.gregs[REG_ERR] & kErrorCodeWrite) != 0;
    return {core::address_of(info.si_addr), write ? core::FaultAccess::write : core::FaultAccess::read,
            core::FaultOrigin::faulting_thread, sys::thread_token()};
}

/// A missing or protected page says BUS_ADRERR; poison and broken memory say BUS_MCEERR_AR and must not be tried again.
bool may_be_ours(const siginfo_t& info) noexcept { return info.si_code == BUS_ADRERR; }

void on_bus_error(int signal, siginfo_t* info, void* context) {
    const int saved_errno = errno;
    const Resolver resolver = current_resolver.load(std::memory_order_acquire);
    core::FaultOutcome outcome = core::FaultOutcome::not_ours;
    if (resolver != nullptr && may_be_ours(*info)) {
        outcome = resolver(page_fault_from(*info, *static_cast<ucontext_t*>(context)));
    }
    if (outcome == core::FaultOutcome::not_ours || outcome == core::FaultOutcome::failed) {
        bus_action.pass_on(signal, info, context);
    }
    errno = saved_errno;
}

}  // namespace

SignalFaultSource::SignalFaultSource(Resolver resolver) {
    const std::lock_guard lock{installing};
    current_resolver.store(resolver, std::memory_order_release);
    if (users == 0) bus_action.install(SIGBUS, &on_bus_error);
    ++users;
}

SignalFaultSource::~SignalFaultSource() {
    const std::lock_guard lock{installing};
    if (--users == 0) bus_action.uninstall(SIGBUS, &on_bus_error);
}

}  // namespace faultline::mmu
