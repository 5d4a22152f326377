#include "pager/region_tree.hpp"

#include "pager/region.hpp"

#include <boost/intrusive/set.hpp>

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

namespace faultline::detail {
namespace {

struct Range {
    std::uintptr_t begin;
    std::uintptr_t end;
    Region* region;
};
using Snapshot = std::vector<Range>;  // sorted by address, disjoint

// Never destroyed: faults may come while static objects go.
struct Directory {
    std::mutex mutex;  // guards `tree`, and who replaces `snapshot`
    boost::intrusive::set<Region> tree;
    std::atomic<const Snapshot*> snapshot{nullptr};
    Quiescence readers;
};

std::atomic<Directory*> current{nullptr};

/// Made by the first pager, before the first fault.
Directory& directory() FAULTLINE_SIGNAL_SAFE {
    static const bool made = [] {
        RegionTree::start_afresh();
        return true;
    }();
    static_cast<void>(made);
    return *current.load(std::memory_order_acquire);
}

void publish(Directory& all) {
    auto next = std::make_unique<Snapshot>();
    next->reserve(all.tree.size());
    for (Region& region : all.tree) next->push_back({region.begin(), region.end(), &region});
    const std::unique_ptr<const Snapshot> previous{all.snapshot.exchange(next.release())};
    all.readers.synchronize();
}

}  // namespace

void RegionTree::insert(Region& region) {
    Directory& all = directory();
    const std::lock_guard lock{all.mutex};
    all.tree.insert(region);
    publish(all);
}

void RegionTree::remove(Region& region) {
    Directory& all = directory();
    const std::lock_guard lock{all.mutex};
    all.tree.erase(region);
    publish(all);
}

Region* RegionTree::find(std::uintptr_t address) FAULTLINE_SIGNAL_SAFE {
    const Snapshot* const all = directory().snapshot.load();
    if (all == nullptr) return nullptr;
    const auto after = std::upper_bound(all->begin(), all->end(), address,
                                        [](std::uintptr_t wanted, const Range& range) { return wanted < range.begin; });
    if (after == all->begin()) return nullptr;
    const Range& range = *std::prev(after);
    return address < range.end ? range.region : nullptr;
}

Region* RegionTree::find_from(std::uintptr_t address) FAULTLINE_SIGNAL_SAFE {
    const Snapshot* const all = directory().snapshot.load();
    if (all == nullptr) return nullptr;
    const auto found = std::upper_bound(all->begin(), all->end(), address,
                                        [](std::uintptr_t wanted, const Range& range) { return wanted < range.end; });
    return found != all->end() ? found->region : nullptr;
}

void RegionTree::lock() { directory().mutex.lock(); }

void RegionTree::unlock() noexcept { directory().mutex.unlock(); }

void RegionTree::close_in_child() noexcept {
    // Not the tree, which other threads may have been changing.
    const Snapshot* const all = directory().snapshot.load();
    if (all == nullptr) return;
    for (const Range& range : *all) range.region->view().close_in_child();
}

void RegionTree::forget_unless(bool (*stays)(const Region&)) {
    Directory& all = directory();
    for (auto region = all.tree.begin(); region != all.tree.end();) {
        region = stays(*region) ? std::next(region) : all.tree.erase(region);
    }
    publish(all);
}

void RegionTree::start_afresh() { current.store(new Directory); }

Quiescence& RegionTree::readers() FAULTLINE_SIGNAL_SAFE { return directory().readers; }

}  // namespace faultline::detail
