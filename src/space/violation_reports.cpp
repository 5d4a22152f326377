#include "space/violation_reports.hpp"

#include "pager/fault/fault_entry.hpp"
#include "pager/region/region_map.hpp"

#include <algorithm>
#include <csignal>
#include <iterator>
#include <memory>

namespace faultline::space {

ViolationReports::ViolationReports(const sys::Published<SegmentIndex>& index, const Handler& handler)
    : index_{index},
      handler_{pager::RegionMap::readers(), std::make_unique<const Handler>(handler)},
      source_{SIGSEGV, &pager::resolve_fault, &pager::report_violation} {}

void ViolationReports::set_handler(const Handler& handler) {
    handler_.replace(std::make_unique<const Handler>(handler));
}

core::ViolationReport ViolationReports::report(const core::PageFault& fault) const FAULTLINE_SIGNAL_SAFE {
    core::ViolationReport report;
    AccessViolation& violation = report.violation;
    violation.address = reinterpret_cast<const void*>(fault.address);  // NOLINT: the address that the kernel reported
    violation.attempt = fault.access == core::FaultAccess::execute ? Attempt::execute
                        : fault.access == core::FaultAccess::write ? Attempt::write
                                                                   : Attempt::read;
    if (const SegmentIndex::Entry* const segment = index_.read().find(fault.address)) {
        violation.kind = segment->guard ? ViolationKind::stack_overflow : ViolationKind::forbidden;
        violation.allowed = segment->access;
        std::copy(segment->name.begin(), segment->name.end(), std::begin(violation.segment));
    }
    const Handler& handler = handler_.read();
    report.handler = handler.call;
    report.context = handler.context;
    return report;
}

}  // namespace faultline::space
