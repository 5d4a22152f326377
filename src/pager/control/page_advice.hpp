// PageAdvice: carries out the program's advice on ranges of pages (Region::advise), and Region::retry. ReadAhead does
// the prefetches.
#pragma once

#include "core/page_range.hpp"
#include "pager/core.hpp"
#include "pager/evict/evictor.hpp"
#include "pager/evict/reclaimed.hpp"
#include "pager/fault/read_ahead.hpp"
#include "policy/prefetch_streams.hpp"

namespace faultline::pager {

/// Control path, in the process that owns the pager.
class PageAdvice {
public:
    PageAdvice(PagerCore& core, Evictor& evictor, ReadAhead& read_ahead) noexcept
        : core_{core}, evictor_{evictor}, read_ahead_{read_ahead} {}

    /// Calls the function below, or of ReadAhead, that `advice` names. Throws std::system_error (EINVAL).
    void advise(Region& region, core::PageRange range, Advice advice);

    /// Evicts the resident pages that are not pinned. Pages that the store refuses stay.
    Reclaimed evict(Region& region, core::PageRange range);

    /// Makes resident pages the next victims.
    void mark_cold(Region& region, core::PageRange range);

    /// Sets how accesses to the range are to be prefetched, by blocks of 2 MiB. Throws std::system_error (ENOMEM).
    void set_access_pattern(Region& region, core::PageRange range, policy::AccessAdvice pattern);

    /// Lets accesses try again to read pages that could not be read (poisoned).
    void retry(Region& region, core::PageRange range);

private:
    PagerCore& core_;
    Evictor& evictor_;
    ReadAhead& read_ahead_;
};

}  // namespace faultline::pager
