// RegionLifecycle: reserves and destroys regions.
#pragma once

#include "pager/control/discarder.hpp"
#include "pager/control/limit_keeper.hpp"
#include "pager/control/view_mapper.hpp"
#include "pager/core.hpp"
#include "pager/evict/batch_finisher.hpp"
#include "pager/region/region_pager.hpp"
#include "sys/userfaultfd.hpp"

#include <cstddef>
#include <memory>

namespace faultline::pager {

/// Control path, in the process that owns the pager.
class RegionLifecycle {
public:
    RegionLifecycle(PagerCore& core, BatchFinisher& finisher, Discarder& discarder, LimitKeeper& limit,
                    ViewMapper& view_mapper) noexcept
        : core_{core}, finisher_{finisher}, discarder_{discarder}, limit_{limit}, view_mapper_{view_mapper} {}

    /// Reserves a region of `bytes`, rounded up to pages of `page_bytes`, whose faults `pager` resolves. `uffd`
    /// is null under Delivery::sigsegv. Throws std::system_error: EINVAL (sizes), ENOMEM (addresses, mappings, a
    /// region's 2^32 pages), EEXIST (the plan's address is in use).
    [[nodiscard]] Region& reserve(RegionPager& pager, sys::Userfaultfd* uffd, std::size_t bytes, std::size_t page_bytes,
                                  const RegionPlan& plan);

    /// Destroys a region with its contents. Throws std::system_error (EBUSY) while pages are pinned.
    void destroy(Region& region);

private:
    void watch(Region& region, sys::Userfaultfd* uffd, const RegionPlan& plan);

    PagerCore& core_;
    BatchFinisher& finisher_;
    Discarder& discarder_;
    LimitKeeper& limit_;
    ViewMapper& view_mapper_;
};

/// Watches the fence of a mapping, if it has one. A watched mapping and an unwatched one beside it are two for the
/// kernel: the fence must be of the same kind.
void watch_fence(sys::Userfaultfd* uffd, const sys::Mapping& mapping, bool write_protect);

}  // namespace faultline::pager
