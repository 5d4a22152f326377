#include "pager/forking.hpp"

#include "core/check.hpp"
#include "mmu/handler_stacks.hpp"
#include "pager/pager.hpp"
#include "pager/region_tree.hpp"
#include "pager/standstill.hpp"
#include "sys/fork_watch.hpp"
#include "sys/signal_block.hpp"

#include <algorithm>
#include <exception>
#include <mutex>
#include <optional>
#include <vector>

namespace faultline::detail {
namespace {

// Never destroyed: fork may come while static objects go.
struct Inherited {
    std::mutex mutex;  // guards `pagers`; held from before fork until after it
    std::vector<Pager*> pagers;
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
    if (all.pagers.empty()) return;
    // Whoever holds these waits for nothing that comes after them here.
    for (Pager* const pager : all.pagers) pager->lock_for_fork();
    RegionTree::lock();
    all.signals.emplace();  // a handler that faulted now would change what is being written
    stop_everybody();
    for (Pager* const pager : all.pagers) pager->prepare_fork();
}

void end_fork(Inherited& all) {
    if (!all.pagers.empty()) {
        let_everybody_go_on();
        all.signals.reset();
        RegionTree::unlock();
        for (Pager* const pager : all.pagers) pager->unlock_after_fork();
    }
    all.mutex.unlock();
}

void after_fork_in_parent() {
    Inherited& all = inherited();
    for (Pager* const pager : all.pagers) pager->go_on_in_parent();
    end_fork(all);
}

void after_fork_in_child() {
    Inherited& all = inherited();
    mmu::HandlerStacks::forget_other_threads();
    RegionTree::close_in_child();
    for (Pager* const pager : all.pagers) pager->close_in_child();
    const bool none = all.pagers.empty();
    if (!none) RegionTree::readers().start_in_child();
    for (Pager* const pager : all.pagers) {
        try {
            pager->start_in_child();
        } catch (const std::exception& error) {
            core::fatal(error.what(), __FILE__, __LINE__);  // a child that goes on would read what is not there
        }
    }
    end_fork(all);
    if (none) {
        let_everybody_go_on();  // a thread of the parent's may have been cloning a space
        RegionTree::start_afresh();
    } else {
        RegionTree::forget_unless([](const Region& region) { return region.pager().in_owner_process(); });
    }
    std::erase_if(all.pagers, [](const Pager* pager) { return !pager->in_owner_process(); });
}

constexpr sys::ForkHandlers kHandlers{&before_fork, &after_fork_in_parent, &after_fork_in_child};

}  // namespace

void Forking::watch() { sys::set_fork_handlers(sys::ForkParty::lower, &kHandlers); }

void Forking::add(Pager& pager) {
    Inherited& all = inherited();
    const std::lock_guard lock{all.mutex};
    all.pagers.push_back(&pager);
}

void Forking::remove(Pager& pager) noexcept {
    Inherited& all = inherited();
    const std::lock_guard lock{all.mutex};
    std::erase(all.pagers, &pager);
}

}  // namespace faultline::detail
