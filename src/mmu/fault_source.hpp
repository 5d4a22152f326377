// What all fault sources share: they turn a hardware fault into a PageFault, hand it to a resolver, and act on the
// answer.
#pragma once

#include "core/page_fault.hpp"

namespace faultline::mmu {

/// Resolves one fault. A plain function: a signal handler has no object to call. Signal-safe.
using Resolver = core::FaultOutcome (*)(const core::PageFault&) noexcept;

/// Says more of a fault whose outcome is `access_violation`. Signal-safe.
using Reporter = core::ViolationReport (*)(const core::PageFault&) noexcept;

}  // namespace faultline::mmu
