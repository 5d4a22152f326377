#include "space/arena.hpp"

#include "core/units.hpp"

#include <memory>
#include <utility>

namespace faultline::space {

Arena::Arena(pager::Pager& pager, const pager::RegionOwner& owner, const sys::Published<SegmentIndex>& index,
             std::uintptr_t address, std::size_t bytes)
    : pager_{pager},
      region_{pager.reserve(bytes, core::kUnitBytes,
                            {.address = address,
                             .owner = &owner,
                             .gaps = true,
                             .decorate = [&](std::unique_ptr<store::BackingStore> behind) {
                                 auto store = std::make_unique<SegmentStore>(std::move(behind), index);
                                 store_ = store.get();
                                 return store;
                             }})} {
    store_->set_begin(region_.begin());
}

Arena::~Arena() { pager_.destroy_or_report(region_); }

core::PageRange Arena::pages_of(AddressRange range) const noexcept {
    return {region_.page_of(range.begin), range.bytes() >> core::kUnitShift};
}

void Arena::open(AddressRange range, Access access, bool in_file) {
    const core::PageRange pages = pages_of(range);
    if (in_file) pager_.discarder().expect_in_store(region_, pages);
    pager_.gaps().open(region_, pages, access);
}

}  // namespace faultline::space
