#include "space/shared_layer.hpp"

#include "core/check.hpp"
#include "core/units.hpp"

namespace faultline::space {

void SharedLayer::drop_users(core::PageRange pages) const FAULTLINE_SIGNAL_SAFE {
    // Discard the pages without users, adjacent ones with one call.
    core::PageRange unused{pages.first, 0};
    const auto give_back = [&] {
        if (unused.count > 0) store_->discard(unused.first << core::kUnitShift, unused.count << core::kUnitShift);
    };
    for (std::uint64_t page = pages.first; page < pages.end(); ++page) {
        const std::uint32_t users = users_[page].fetch_sub(1, std::memory_order_acq_rel);
        FAULTLINE_INVARIANT(users > 0);
        if (users > 1) continue;
        if (page != unused.end()) {
            give_back();
            unused = {page, 0};
        }
        ++unused.count;
    }
    give_back();
}

}  // namespace faultline::space
