#include "pager/region/region_map.hpp"

#include "pager/region/region.hpp"
#include "pager/region/region_ranges.hpp"

#include <boost/intrusive/set.hpp>

#include <atomic>
#include <memory>
#include <mutex>
#include <utility>

namespace faultline::pager {
namespace {

// Never destroyed: faults may occur while static objects are destroyed.
struct Directory {
    std::mutex mutex;  // guards `tree`, and replacing `snapshot`
    boost::intrusive::set<Region> tree;
    std::atomic<const RegionRanges*> snapshot{nullptr};  // owned; freed when no reader can hold it
    sys::Quiescence readers;
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

/// Publishes `next`, waits until no reader uses the previous snapshot, and frees that. The caller holds the mutex, or
/// is the only thread.
void publish(Directory& all, std::unique_ptr<const RegionRanges> next) {
    const std::unique_ptr<const RegionRanges> previous{all.snapshot.exchange(next.release())};
    all.readers.synchronize();
}

const RegionRanges& snapshot_of(const Directory& all) {
    static const RegionRanges none;
    const RegionRanges* const now = all.snapshot.load();
    return now != nullptr ? *now : none;
}

const RegionRanges::Range* find_range_from(std::uintptr_t address) FAULTLINE_SIGNAL_SAFE {
    const RegionRanges* const all = directory().snapshot.load();
    return all == nullptr ? nullptr : all->find_from(address);
}

}  // namespace

void RegionMap::insert(Region& region) {
    Directory& all = directory();
    const std::lock_guard lock{all.mutex};
    auto next = snapshot_of(all).with({region.begin(), region.end(), &region});
    all.tree.insert(region);
    publish(all, std::move(next));
}

void RegionMap::remove(Region& region) {
    Directory& all = directory();
    const std::lock_guard lock{all.mutex};
    auto next = snapshot_of(all).without(region.begin());
    all.tree.erase(region);
    publish(all, std::move(next));
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
    const RegionRanges* const all = directory().snapshot.load();
    if (all == nullptr) return;
    all->for_each([](const RegionRanges::Range& range) { range.region->mapping().close_in_child(); });
}

void RegionMap::forget_unless(bool (*stays)(const Region&)) {
    Directory& all = directory();
    auto next = std::make_unique<const RegionRanges>();
    for (auto region = all.tree.begin(); region != all.tree.end();) {
        if (stays(*region)) {
            next = next->with({region->begin(), region->end(), &*region});
            ++region;
        } else {
            region = all.tree.erase(region);
        }
    }
    publish(all, std::move(next));
}

void RegionMap::start_afresh() { current.store(new Directory); }

sys::Quiescence& RegionMap::readers() FAULTLINE_SIGNAL_SAFE { return directory().readers; }

}  // namespace faultline::pager
