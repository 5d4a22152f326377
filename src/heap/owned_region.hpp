// OwnedRegion: the region that a heap reserves and destroys. Used by HeapPages.
#pragma once

#include "core/units.hpp"
#include "pager/pager.hpp"

#include <cstddef>

namespace faultline::heap {

class OwnedRegion {
public:
    OwnedRegion(pager::Pager& pager, std::size_t bytes)
        : pager_{pager}, region_{&pager.reserve(bytes, core::kUnitBytes)} {}
    ~OwnedRegion() { destroy_if_owner(); }
    OwnedRegion(const OwnedRegion&) = delete;
    OwnedRegion& operator=(const OwnedRegion&) = delete;

    [[nodiscard]] pager::Region& operator*() const noexcept { return *region_; }
    [[nodiscard]] pager::Region* operator->() const noexcept { return region_; }

    /// Throws EBUSY while a page is pinned.
    void destroy() {
        pager_.destroy(*region_);
        region_ = nullptr;
    }
    /// Destroys the region unless it is destroyed already. Does nothing in a child of fork that has not inherited it.
    void destroy_if_owner() {
        if (region_ != nullptr && pager_.in_owner_process()) destroy();
    }

private:
    pager::Pager& pager_;
    pager::Region* region_;
};

}  // namespace faultline::heap
