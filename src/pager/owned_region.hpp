// OwnedRegion: owns one region for the layer above, and keeps the region's pager alive. The layer holds it by a
// shared_ptr, and gives it to RegionUsers::leave when it goes.
#pragma once

#include "pager/pager.hpp"
#include "pager/region/region.hpp"

#include <cstddef>
#include <memory>
#include <utility>

namespace faultline::pager {

class OwnedRegion {
public:
    /// Reserves the region. Throws std::system_error; see RegionLifecycle::reserve.
    OwnedRegion(std::shared_ptr<Pager> pager, std::size_t bytes, std::size_t page_bytes)
        : pager_{std::move(pager)}, region_{&pager_->reserve(bytes, page_bytes)} {}
    /// Destroys the region, unless it belongs to the parent process.
    ~OwnedRegion() {
        if (region_ != nullptr) pager_->destroy_or_report(*region_);
    }
    OwnedRegion(const OwnedRegion&) = delete;
    OwnedRegion& operator=(const OwnedRegion&) = delete;

    [[nodiscard]] Pager& pager() const noexcept { return *pager_; }
    [[nodiscard]] Region& region() const noexcept { return *region_; }

    /// Destroys the region now; afterwards only the destructor may be called. Throws EBUSY while a page is pinned.
    void destroy() {
        pager_->destroy(*region_);
        region_ = nullptr;
    }

private:
    std::shared_ptr<Pager> pager_;
    Region* region_;  // null after `destroy`
};

}  // namespace faultline::pager
