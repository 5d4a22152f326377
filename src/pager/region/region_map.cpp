#include "pager/region/region_map.hpp"

#include "pager/region/region.hpp"
#include "pager/region/region_ranges.hpp"
#include "sys/published.hpp"

#include <boost/intrusive/set.hpp>

#include <atomic>
#include <memory>
#include <mutex>
#include <utility>

namespace faultline::pager {
namespace {

// Never destroyed: faults may occur while static objects are destroyed.
struct Directory {
    std::mutex mutex;  // guards `tree`, and replacing `ranges`
    boost::intrusive::set<Region> tree;
    sys::Quiescence readers;
    sys::Published<RegionRanges> ranges{readers};  // null before the first region
};

std::atomic<Directory*> current{nullptr};

/// Returns the process's directory. The first pager makes it, before the first fault.
Directory& directory() FAULTLINE_SIGNAL_SAFE {
    static const bool made = [] {
        RegionMap::start_afresh();
        return true;
    }();
    static_cast<void>(made);
    return *current.load(std::memory_order_acquire);
}

const RegionRanges& ranges_of(const Directory& all) {
    static const RegionRanges none;
    const RegionRanges* const now = all.ranges.get();
    return now != nullptr ? *now : none;
}

const RegionRanges::Range* find_range_from(std::uintptr_t address) FAULTLINE_SIGNAL_SAFE {
    const RegionRanges* const all = directory().ranges.get();
    return all == nullptr ? nullptr : all->find_from(address);
}

}  // namespace

void RegionMap::insert(Region& region) {
    Directory& all = directory();
    const std::lock_guard lock{all.mutex};
    auto next = ranges_of(all).with({{region.begin(), region.end()}, &region});
    all.tree.insert(region);
    all.ranges.replace(std::move(next));
}

void RegionMap::remove(Region& region) {
    Directory& all = directory();
    const std::lock_guard lock{all.mutex};
    auto next = ranges_of(all).without(region.begin());
    all.tree.erase(region);
    all.ranges.replace(std::move(next));
}

Region* RegionMap::find(std::uintptr_t address) FAULTLINE_SIGNAL_SAFE {
    const RegionRanges::Range* const range = find_range_from(address);
    return range != nullptr && range->begin <= address ? range->region : nullptr;
}

Region* RegionMap::find_from(std::uintptr_t address) FAULTLINE_SIGNAL_SAFE {
    const RegionRanges::Range* const range = find_range_from(address);
    return range != nullptr ? range->region : nullptr;
}

void RegionMap::lock() { directory().mutex.lock(); }

void RegionMap::unlock() noexcept { directory().mutex.unlock(); }

void RegionMap::close_in_child() noexcept {
    // Not the tree: another thread of the parent may have been changing it.
    const RegionRanges* const all = directory().ranges.get();
    if (all == nullptr) return;
    all->for_each([](const RegionRanges::Range& range) { range.region->close_in_child(); });
}

void RegionMap::forget_unless(bool (*stays)(const Region&)) {
    Directory& all = directory();
    auto next = std::make_unique<const RegionRanges>();
    for (auto region = all.tree.begin(); region != all.tree.end();) {
        if (stays(*region)) {
            next = next->with({{region->begin(), region->end()}, &*region});
            ++region;
        } else {
            region = all.tree.erase(region);
        }
    }
    all.ranges.replace(std::move(next));
}

void RegionMap::start_afresh() { current.store(new Directory); }

sys::Quiescence& RegionMap::readers() FAULTLINE_SIGNAL_SAFE { return directory().readers; }

}  // namespace faultline::pager
