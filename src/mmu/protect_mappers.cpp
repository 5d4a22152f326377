#include "mmu/protect_mappers.hpp"

#include "core/units.hpp"
#include "sys/mapping_budget.hpp"
#include "sys/syscall.hpp"

#include <sys/mman.h>

#include <algorithm>

namespace faultline::mmu {

void ProtectMappers::release_copies(void* slots, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    // On failure the memory stays: the program has locked it (mlockall) and so has asked for the cost.
    static_cast<void>(sys::advise(slots, bytes, MADV_DONTNEED));
}

bool ProtectMappers::short_of_mappings() const FAULTLINE_SIGNAL_SAFE { return sys::MappingBudget::is_short(); }
bool ProtectMappers::low_on_mappings() const FAULTLINE_SIGNAL_SAFE { return sys::MappingBudget::is_low(); }

std::size_t ProtectMappers::fragmenting_runs(std::span<iovec> runs) FAULTLINE_SIGNAL_SAFE {
    const std::size_t found = file_.fragmenting_runs(runs);
    for (iovec& run : runs.first(found)) name_by_source(run);
    return found;
}

/// Replaces an address in a view by the address in the shared region, and cuts the run at the end of the view.
void ProtectMappers::name_by_source(iovec& run) const FAULTLINE_SIGNAL_SAFE {
    const std::uintptr_t begin = core::address_of(run.iov_base);
    const SharedViews* const views = views_.views();
    const SharedView* const view = views == nullptr ? nullptr : views->from(begin);
    if (view == nullptr || view->range.begin >= begin + run.iov_len) return;
    if (begin < view->range.begin) {
        run.iov_len = view->range.begin - begin;
    } else {
        run = {core::pointer_to(view->source_of(begin)), std::min(run.iov_len, view->range.end - begin)};
    }
}

}  // namespace faultline::mmu
