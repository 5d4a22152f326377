// UnseenWrites: finds clean pages whose write protection the kernel has taken away (sys/page_merging.hpp). The program
// may have written to them without a fault, so they count as dirty from then on. Called before anything relies on a
// page's being clean, where Mapper::protection_in_doubt. Signal-safe throughout.
#pragma once

#include "core/page_range.hpp"
#include "core/signal_safe.hpp"
#include "mmu/mapper.hpp"
#include "pager/frame/frame_table.hpp"
#include "pager/region/region.hpp"
#include "pager/region/region_directory.hpp"

#include <span>

namespace faultline::pager {

class UnseenWrites {
public:
    explicit UnseenWrites(const RegionDirectory& regions) noexcept : regions_{regions} {}

    /// Among pages that the caller has claimed for eviction.
    void find_among(std::span<const ChosenPage> claimed) const FAULTLINE_SIGNAL_SAFE;

    /// Among the resident pages of a range. Waits for pages that another thread owns.
    void find_in(const Region& region, core::PageRange range) const FAULTLINE_SIGNAL_SAFE;

private:
    const RegionDirectory& regions_;
};

}  // namespace faultline::pager
