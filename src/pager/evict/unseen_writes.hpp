// UnseenWrites: finds clean pages whose write protection the kernel has removed without a fault (see
// sys/page_merging.hpp), and marks them dirty, because the program may have written to them. Stager, Cleaner and Pager
// call it before they rely on a page being clean. It does nothing unless Mapper::protection_in_doubt.
#pragma once

#include "core/page_range.hpp"
#include "core/signal_safe.hpp"
#include "mmu/mapper.hpp"
#include "pager/frame/frame_table.hpp"
#include "pager/region/region.hpp"
#include "pager/region/region_directory.hpp"

#include <span>

namespace faultline::pager {

/// Thread-safe and signal-safe.
class UnseenWrites {
public:
    explicit UnseenWrites(const RegionDirectory& regions) noexcept : regions_{regions} {}

    /// Checks pages that the caller has claimed for eviction.
    void find_among(std::span<const ChosenPage> claimed) const FAULTLINE_SIGNAL_SAFE;

    /// Checks the resident pages of a range. Waits for pages that another thread owns.
    void find_in(const Region& region, core::PageRange range) const FAULTLINE_SIGNAL_SAFE;

private:
    const RegionDirectory& regions_;
};

}  // namespace faultline::pager
