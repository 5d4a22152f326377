// The functions that fault sources call: they find the region of an address and hand the fault to the region's pager.
// Plain functions, since a signal handler has no object to call.
#pragma once

#include "core/page_fault.hpp"
#include "core/signal_safe.hpp"

namespace faultline::pager {

/// Resolves a fault of any region of the process (an mmu::Resolver). Signal-safe; all signals are blocked.
[[nodiscard]] core::FaultOutcome resolve_fault(const core::PageFault& fault) FAULTLINE_SIGNAL_SAFE;

/// Describes an access that is not allowed, as the region's owner sees it (an mmu::Reporter). Signal-safe; all signals
/// are blocked.
[[nodiscard]] core::ViolationReport report_violation(const core::PageFault& fault) FAULTLINE_SIGNAL_SAFE;

}  // namespace faultline::pager
