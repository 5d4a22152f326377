#include "pager/fault/fault_entry.hpp"

#include "pager/region/region.hpp"
#include "pager/region/region_map.hpp"
#include "pager/region/region_reader.hpp"

namespace faultline::pager {

core::FaultOutcome resolve_fault(const core::PageFault& fault) FAULTLINE_SIGNAL_SAFE {
    const RegionReader reader;
    Region* const region = RegionMap::find(fault.address);
    return region == nullptr ? core::FaultOutcome::not_ours : region->pager().resolve(*region, fault);
}

core::ViolationReport report_violation(const core::PageFault& fault) FAULTLINE_SIGNAL_SAFE {
    const RegionReader reader;
    const Region* const region = RegionMap::find(fault.address);
    if (region != nullptr && region->owner() != nullptr) return region->owner()->report(fault);
    return RegionOwner{}.report(fault);
}

}  // namespace faultline::pager
