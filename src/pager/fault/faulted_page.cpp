#include "pager/fault/faulted_page.hpp"

#include "sys/cpu.hpp"

#include <chrono>

namespace faultline::pager {

void account(const PagerCore& core, const FaultedPage& faulted, FaultKind kind) FAULTLINE_SIGNAL_SAFE {
    core.latencies.record(kind, sys::ticks() - faulted.started);
    if (core.fault_trace) core.fault_trace->record(faulted.region.address_of(faulted.page), faulted.write());
}

void report_failure(PagerCore& core, const FaultedPage& faulted, Event::Kind kind, int error) FAULTLINE_SIGNAL_SAFE {
    constexpr std::chrono::milliseconds kPatience{100};
    const EventLog::Ticket ticket = core.log.record({kind, error, faulted.fault.address});
    if (!core.housekeeper) return;
    core.housekeeper->wake();
    if (faulted.fault.origin != core::FaultOrigin::control_call) core.log.wait_until_reported(ticket, kPatience);
}

}  // namespace faultline::pager
