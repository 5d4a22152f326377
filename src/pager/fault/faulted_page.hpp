// FaultedPage: one fault on its way through the stages: the page, how the program reached it, and when the fault came.
#pragma once

#include "core/page_fault.hpp"
#include "core/signal_safe.hpp"
#include "pager/core.hpp"
#include "pager/log/event_log.hpp"
#include "pager/region/latency_recorder.hpp"
#include "pager/region/page_place.hpp"
#include "pager/region/page_window.hpp"

#include <cstdint>

namespace faultline::pager {

struct FaultedPage : PagePlace {
    FaultedPage(const PagePlace& place, const core::PageFault& page_fault, std::uint64_t ticks) noexcept
        : PagePlace{place}, fault{page_fault}, started{ticks} {}

    core::PageFault fault;
    std::uint64_t started;      // ticks
    std::uint64_t touched = 0;  // pages that a first touch brings in

    [[nodiscard]] bool write() const noexcept { return fault.access == core::FaultAccess::write; }
    /// The mask of the pages of `window`, which contains the page, that the fault needs writable.
    [[nodiscard]] std::uint64_t writable_in(PageWindow window) const noexcept {
        return write() ? window.bit_of(page) : 0;
    }
};

/// Counts a fault that is resolved: its latency, a line of the trace and a sample of the stack where these are
/// recorded. `evictions_ago`: of a page that was read from the store, how many pages were evicted since it was.
/// Signal-safe.
void account(const PagerCore& core, const FaultedPage& faulted, FaultKind kind,
             std::uint32_t evictions_ago = trace::kUnknownDistance) FAULTLINE_SIGNAL_SAFE;

/// Samples the stack of a fault for which another thread has brought the page in meanwhile. Signal-safe.
void account_wait(const PagerCore& core, const FaultedPage& faulted) FAULTLINE_SIGNAL_SAFE;

/// Records why a fault fails. Returns when the message is printed, or after 100 ms: SIGBUS ends most programs at once.
/// Signal-safe.
void report_failure(PagerCore& core, const FaultedPage& faulted, Event::Kind kind, int error) FAULTLINE_SIGNAL_SAFE;

}  // namespace faultline::pager
