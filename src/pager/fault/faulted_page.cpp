#include "pager/fault/faulted_page.hpp"

#include "sys/cpu.hpp"

#include <chrono>

namespace faultline::pager {

namespace {

trace::SampledKind sampled(FaultKind kind) FAULTLINE_SIGNAL_SAFE {
    switch (kind) {
        case FaultKind::first_touch:
            return trace::SampledKind::first_touch;
        case FaultKind::hard:
            return trace::SampledKind::hard;
        case FaultKind::soft:
            return trace::SampledKind::soft;
        case FaultKind::write:
            return trace::SampledKind::write;
        case FaultKind::none:
            break;
    }
    return trace::SampledKind::wait;
}

trace::ResolvedFault resolved(const PagerCore& core, const FaultedPage& faulted, FaultKind kind,
                              std::uint64_t ticks) FAULTLINE_SIGNAL_SAFE {
    return {.kind = sampled(kind),
            .write = faulted.write(),
            .address = faulted.fault.address,
            .ticks = ticks,
            .touched_units = faulted.touched * static_cast<std::uint64_t>(faulted.region.page_units()),
            .resident_units = static_cast<std::uint64_t>(core.budget.used()),
            .evictions = core.departures.evictions(),
            .interrupted = faulted.fault.interrupted};
}

}  // namespace

void account(const PagerCore& core, const FaultedPage& faulted, FaultKind kind,
             std::uint32_t evictions_ago) FAULTLINE_SIGNAL_SAFE {
    const std::uint64_t ticks = sys::ticks() - faulted.started;
    core.latencies.record(kind, ticks);
    if (core.fault_trace) core.fault_trace->record(faulted.region.address_of(faulted.page), faulted.write());
    if (!core.stack_recorder) return;
    trace::ResolvedFault fault = resolved(core, faulted, kind, ticks);
    if (DepartureClock::is_known(evictions_ago)) fault.evictions_ago = evictions_ago;
    core.stack_recorder->record(fault);
}

void account_wait(const PagerCore& core, const FaultedPage& faulted) FAULTLINE_SIGNAL_SAFE {
    if (!core.stack_recorder) return;
    core.stack_recorder->record(resolved(core, faulted, FaultKind::none, sys::ticks() - faulted.started));
}

void report_failure(PagerCore& core, const FaultedPage& faulted, Event::Kind kind, int error) FAULTLINE_SIGNAL_SAFE {
    constexpr std::chrono::milliseconds kPatience{100};
    const EventLog::Ticket ticket = core.log.record({kind, error, faulted.fault.address});
    if (!core.housekeeper) return;
    core.housekeeper->wake();
    if (faulted.fault.origin != core::FaultOrigin::control_call) core.log.wait_until_reported(ticket, kPatience);
}

}  // namespace faultline::pager
