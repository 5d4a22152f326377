#include "pager/snapshot/forking.hpp"

#include "core/check.hpp"
#include "mmu/handler_stacks.hpp"
#include "pager/region/region.hpp"
#include "pager/region/region_map.hpp"
#include "pager/region/standstill.hpp"
#include "pager/snapshot/fork_snapshot.hpp"
#include "sys/fork_watch.hpp"
#include "sys/signal_block.hpp"

#include <algorithm>
#include <exception>
#include <mutex>
#include <optional>
#include <vector>

namespace faultline::pager {
namespace {

// Never destroyed: fork may come while static objects go.
struct Inherited {
    std::mutex mutex;  // guards `snapshots`; held from before fork until after it
    std::vector<ForkSnapshot*> snapshots;
    // From before fork until after it.
    std::optional<sys::SignalBlock> signals;
};

Inherited& inherited() {
    static auto* const all = new Inherited;
    return *all;
}

void before_fork() {
    Inherited& all = inherited();
    all.mutex.lock();
    if (all.snapshots.empty()) return;
    // A thread that holds one of these locks waits for nothing that is locked later here.
    for (ForkSnapshot* const snapshot : all.snapshots) snapshot->lock();
    RegionMap::lock();
    all.signals.emplace();  // a signal handler that faults now would change pages that are being written
    begin_standstill();
    for (ForkSnapshot* const snapshot : all.snapshots) snapshot->prepare();
}

void end_fork(Inherited& all) {
    if (!all.snapshots.empty()) {
        end_standstill();
        all.signals.reset();
        RegionMap::unlock();
        for (ForkSnapshot* const snapshot : all.snapshots) snapshot->unlock();
    }
    all.mutex.unlock();
}

void after_fork_in_parent() {
    Inherited& all = inherited();
    for (ForkSnapshot* const snapshot : all.snapshots) snapshot->go_on_in_parent();
    end_fork(all);
}

void after_fork_in_child() {
    Inherited& all = inherited();
    mmu::HandlerStacks::forget_other_threads();
    RegionMap::close_in_child();
    for (ForkSnapshot* const snapshot : all.snapshots) snapshot->close_in_child();
    const bool none = all.snapshots.empty();
    if (!none) RegionMap::readers().start_in_child();
    for (ForkSnapshot* const snapshot : all.snapshots) {
        try {
            snapshot->start_in_child();
        } catch (const std::exception& error) {
            core::fatal(error.what(), __FILE__, __LINE__);  // a child that goes on would read zeros
        }
    }
    end_fork(all);
    if (none) {
        end_standstill();  // a thread of the parent may have been cloning a space
        RegionMap::start_afresh();
    } else {
        RegionMap::forget_unless([](const Region& region) { return region.pager().in_owner_process(); });
    }
    std::erase_if(all.snapshots, [](const ForkSnapshot* snapshot) { return !snapshot->core().in_owner_process(); });
}

constexpr sys::ForkHandlers kHandlers{&before_fork, &after_fork_in_parent, &after_fork_in_child};

}  // namespace

void Forking::watch() { sys::set_fork_handlers(sys::ForkParty::lower, &kHandlers); }

void Forking::add(ForkSnapshot& snapshot) {
    Inherited& all = inherited();
    const std::lock_guard lock{all.mutex};
    all.snapshots.push_back(&snapshot);
}

void Forking::remove(ForkSnapshot& snapshot) noexcept {
    Inherited& all = inherited();
    const std::lock_guard lock{all.mutex};
    std::erase(all.snapshots, &snapshot);
}

}  // namespace faultline::pager
