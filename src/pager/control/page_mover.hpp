// PageMover: moves contents to other addresses of a region. Where the kernel moves frames, no byte is copied. Stored
// pages are read first, since a page's offset in the store follows from its address.
#pragma once

#include "core/page_range.hpp"
#include "core/signal_safe.hpp"
#include "pager/control/discarder.hpp"
#include "pager/core.hpp"
#include "pager/fault/page_fill.hpp"

#include <cstdint>

namespace faultline::pager {

/// Control path, in the process that owns the pager.
class PageMover {
public:
    PageMover(FillContext& context, Discarder& discarder) noexcept
        : context_{context}, core_{context.core}, discarder_{discarder} {}

    /// Moves pages from the front of `from` on to the pages from `to` on, which lose their contents. The ranges do not
    /// overlap, the program may write to both, and no thread uses either meanwhile. Returns how many pages moved: fewer
    /// than all where frames cannot be moved, a page is pinned, or a page cannot be read. Throws as Discarder::discard.
    [[nodiscard]] std::uint64_t move(Region& region, core::PageRange from, std::uint64_t to);

private:
    static constexpr std::uint64_t kMostAtOnce = 64;

    [[nodiscard]] std::uint64_t move_some(Region& region, core::PageRange from, std::uint64_t to);
    [[nodiscard]] bool claim(Region& region, std::uint64_t from, std::uint64_t to,
                             core::PageWord& was) FAULTLINE_SIGNAL_SAFE;
    void publish_empty(Region& region, std::uint64_t page, core::PageWord was) FAULTLINE_SIGNAL_SAFE;

    FillContext& context_;
    PagerCore& core_;
    Discarder& discarder_;
};

}  // namespace faultline::pager
