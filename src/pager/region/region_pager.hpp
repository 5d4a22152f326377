// RegionPager: the pager of a region, for callers that have only an address: fault handlers, Pin, and the functions
// that pin buffers for system calls. Pager implements it.
#pragma once

#include "core/page_fault.hpp"
#include "core/page_range.hpp"
#include "core/signal_safe.hpp"

#include <faultline/types.hpp>

#include <cstdint>

namespace faultline::pager {

class Region;

/// How many pages of a range to pin.
enum class PinAmount : std::uint8_t {
    all,         ///< All pages; none if the resident limit does not leave room for all.
    fair_share,  ///< At most half of the pages that the limit leaves room for, and at least one.
};

/// Result of `pin_front`: the first `pages` of the range are pinned. If `error` (an errno) is 0, these are all.
struct PinnedFront {
    std::uint64_t pages;
    int error;
};

class RegionPager {
public:
    /// Resolves a fault at an address of `region`. Signal-safe. The caller is a reader of RegionMap::readers().
    [[nodiscard]] virtual core::FaultOutcome resolve(Region& region,
                                                     const core::PageFault& fault) FAULTLINE_SIGNAL_SAFE = 0;

    /// Pins pages from the front of `range` on, and stops at the first page that cannot be pinned: EACCES (protection),
    /// EIO (the store cannot read it), ENOSPC, EOVERFLOW (too many pins of one page), or ENOMEM (resident limit).
    /// Neither throws nor allocates nor takes a lock of the control path: a reader may call it.
    [[nodiscard]] virtual PinnedFront pin_front(Region& region, core::PageRange range, PinFor purpose,
                                                PinAmount amount) noexcept = 0;

    /// Removes one pin from each page of the range. Does nothing in a process that does not own the pager.
    virtual void unpin(Region& region, core::PageRange range) noexcept = 0;

    /// Returns false in a child of fork that has not inherited the pager. Such a child may use nothing of it.
    [[nodiscard]] virtual bool in_owner_process() const noexcept = 0;

protected:
    ~RegionPager() = default;
};

}  // namespace faultline::pager
