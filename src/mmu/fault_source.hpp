// The types that all fault sources share. A fault source turns a hardware fault into a PageFault, passes it to a
// resolver, and acts on the outcome. SignalFaultSource and UffdThreadSource use the types; the pager provides the
// functions.
#pragma once

#include "core/page_fault.hpp"

namespace faultline::mmu {

/// Resolves one fault. A plain function, because a signal handler has no object to call. Signal-safe.
using Resolver = core::FaultOutcome (*)(const core::PageFault&) noexcept;

/// Describes a fault whose outcome is `access_violation`. Signal-safe.
using Reporter = core::ViolationReport (*)(const core::PageFault&) noexcept;

}  // namespace faultline::mmu
