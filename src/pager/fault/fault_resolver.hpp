// FaultResolver: answers one page fault. `resolve` is the list of steps that docs/life-of-a-page-fault.md walks
// through:
//
//   1 region      RegionMap finds it (fault_entry.cpp)
//   2 protection  what the region forbids is an access violation
//   3 claim       absent -> filling; while another thread owns the page, wait and look again
//   4 frame       FrameReclaimer reserves it, evicting pages if none is free
//   5 fill        PageFill reads the bytes; neighbours come along (ReadAhead)
//   6 map         the mapper installs them
//   7 publish     filling -> resident; waiting threads are woken
//
// Steps 3 to 7 are PageFill's. Resident pages (a first write, a changed mapping) and staged pages need no fill.
#pragma once

#include "core/page_fault.hpp"
#include "core/page_word.hpp"
#include "core/signal_safe.hpp"
#include "pager/core.hpp"
#include "pager/fault/faulted_page.hpp"
#include "pager/fault/page_fill.hpp"
#include "pager/fault/read_ahead.hpp"

#include <optional>

namespace faultline::pager {

/// Signal-safe throughout. The caller is a reader of RegionMap::readers() and has signals blocked.
class FaultResolver {
public:
    FaultResolver(FillContext& context, ReadAhead& read_ahead) noexcept
        : context_{context}, core_{context.core}, read_ahead_{read_ahead} {}

    /// Resolves a fault at an address of `region`.
    [[nodiscard]] core::FaultOutcome resolve(Region& region, const core::PageFault& fault) FAULTLINE_SIGNAL_SAFE;

private:
    /// The outcome of a step; nothing means that the page's word has changed meanwhile: look again.
    using Step = std::optional<core::FaultOutcome>;

    [[nodiscard]] core::FaultOutcome resolve_page(const FaultedPage& faulted) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] Step answer_forbidden(const FaultedPage& faulted, core::PageWord seen) const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] Step wait_for_owner(const FaultedPage& faulted, core::PageWord seen) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] Step allow_access(const FaultedPage& faulted, core::PageWord seen) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] bool give_up_stored_bytes(const FaultedPage& faulted) const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] Step fill(const FaultedPage& faulted, core::PageWord seen) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] core::FaultOutcome read(PageFill& fill, const FaultedPage& faulted) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] Step take_back(const FaultedPage& faulted, core::PageWord seen) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] core::FaultOutcome leave_staged(const FaultedPage& faulted, bool dirty,
                                                  int error) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] core::FaultOutcome try_later(const FaultedPage& faulted, int error) FAULTLINE_SIGNAL_SAFE;

    FillContext& context_;
    PagerCore& core_;
    ReadAhead& read_ahead_;
};

}  // namespace faultline::pager
