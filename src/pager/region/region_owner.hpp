// RegionOwner: the layer above that reserved a region, as the pager sees it: a heap, an address space, an area of
// guarded stacks. The fault path calls it.
#pragma once

#include "core/page_fault.hpp"
#include "core/signal_safe.hpp"

#include <cstdint>

namespace faultline::pager {

/// All functions are signal-safe. The caller is a reader of RegionMap::readers() and has signals blocked.
class RegionOwner {
public:
    virtual ~RegionOwner() = default;

    /// Describes an access that is not allowed, and names the program's handler for it.
    [[nodiscard]] virtual core::ViolationReport report(const core::PageFault& fault) const FAULTLINE_SIGNAL_SAFE {
        core::ViolationReport report;
        report.violation.address = reinterpret_cast<const void*>(fault.address);  // NOLINT: as the kernel reported it
        report.violation.kind = ViolationKind::forbidden;
        return report;
    }

    /// Tells layers apart that must find their own objects by the address of a page: a value of the layer's own, or
    /// null.
    [[nodiscard]] virtual const void* kind() const FAULTLINE_SIGNAL_SAFE { return nullptr; }

    /// True if no program needs the bytes of `page`: then eviction does not write them, and the page may come back as
    /// zeros. The owner clears this before the program writes to the page again. Asked for pages that the program
    /// cannot write to at that moment.
    [[nodiscard]] virtual bool is_dead([[maybe_unused]] std::uint64_t page) const FAULTLINE_SIGNAL_SAFE {
        return false;
    }

    /// True if the pages near a page are worth reading with it while many frames are free.
    [[nodiscard]] virtual bool reads_blocks() const FAULTLINE_SIGNAL_SAFE { return false; }
};

}  // namespace faultline::pager
