// ViolationReports: describes forbidden accesses to a space's pages, and names the program's handler for them. The
// fault path calls it as the owner of the space's regions.
#pragma once

#include "core/page_fault.hpp"
#include "mmu/signal_fault_source.hpp"
#include "pager/region/region_owner.hpp"
#include "space/segment_index.hpp"
#include "sys/published.hpp"

#include <faultline/access_violation.hpp>

namespace faultline::space {

class ViolationReports final : public pager::RegionOwner {
public:
    struct Handler {
        ViolationHandler call = nullptr;
        void* context = nullptr;
    };

    /// `index` must outlive this object.
    ViolationReports(const sys::Published<SegmentIndex>& index, const Handler& handler);

    /// Callers must be serialised.
    void set_handler(const Handler& handler);
    [[nodiscard]] Handler handler() const noexcept { return handler_.read(); }

    [[nodiscard]] core::ViolationReport report(const core::PageFault& fault) const FAULTLINE_SIGNAL_SAFE override;

private:
    const sys::Published<SegmentIndex>& index_;
    sys::Published<Handler> handler_;
    mmu::SignalFaultSource source_;  // SIGSEGV comes to this source in every fault delivery
};

}  // namespace faultline::space
