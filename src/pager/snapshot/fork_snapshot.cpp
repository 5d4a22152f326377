#include "pager/snapshot/fork_snapshot.hpp"

#include "core/check.hpp"
#include "core/units.hpp"
#include "pager/control/page_gaps.hpp"
#include "pager/control/region_lifecycle.hpp"
#include "pager/fault/fault_entry.hpp"
#include "pager/region/region_map.hpp"
#include "pager/snapshot/require_set.hpp"
#include "store/write_queue.hpp"
#include "sys/cpu.hpp"
#include "sys/error.hpp"
#include "sys/fork_watch.hpp"
#include "sys/page_merging.hpp"

#include <cerrno>
#include <exception>
#include <string>
#include <system_error>

namespace faultline::pager {

using core::PageRange;
using core::PageState;
using core::PageWord;

namespace {

constexpr const char* kNoPager =
    "a child of fork goes on without a pager: its memory is not managed, and no limit holds for it: ";

}  // namespace

// ---- before fork

void ForkSnapshot::lock() {
    may_keep_pages_ = kept_.may_share();
    if (much_to_write()) make_writer();
    core_.control.lock();
    core_.regions.for_each([](Region& region) { region.protecting().lock(); });
    core_.views.lock();
    core_.log.lock();
}

/// Only a guess: the locks are not taken yet. Without a writer the calling thread writes, one run after the other.
bool ForkSnapshot::much_to_write() const {
    return !may_keep_pages_ || core_.staging.zone_batches() > 0 || core_.stores->memory_used() > 0;
}

void ForkSnapshot::make_writer() {
    try {
        writer_ = std::make_unique<StandstillWriter>("fl-fork");
    } catch (const std::exception& error) {
        core_.log.say(LogLevel::warning, std::string("no thread for a fork, which takes longer: ") + error.what());
    }
}

void ForkSnapshot::unlock() noexcept {
    core_.log.unlock();
    core_.views.unlock();
    core_.regions.for_each([](Region& region) { region.protecting().unlock(); });
    core_.control.unlock();
    writer_.reset();
}

void ForkSnapshot::prepare() noexcept {
    inheritance_ = Inheritance::nothing;
    read_ahead_.drain();
    sys::PageMerging::update();
    try {
        prepare_pager();
    } catch (const std::exception& error) {
        prepare_without_pager(error.what());
    }
}

void ForkSnapshot::prepare_pager() {
    inheritance_ = may_keep_pages_ && kept_.share() ? Inheritance::kept_pages : Inheritance::by_store;
    const auto freeze = [this](store::WriteQueue& queue) {
        write_dirty(queue);
        core_.stores->prepare_fork(queue);
    };
    if (writer_) return writer_->run(freeze);
    store::SequentialWriteQueue queue;
    freeze(queue);
}

void ForkSnapshot::prepare_without_pager(const char* why) noexcept {
    const bool shared = inheritance_ == Inheritance::kept_pages || kept_.share();
    const bool possible = shared && plain_.prepare();
    if (shared && !possible) kept_.end_sharing();
    inheritance_ = possible ? Inheritance::plain_memory : Inheritance::nothing;
    core_.log.say(LogLevel::error,
                  (possible ? kNoPager : "a child of fork does not inherit its managed memory: ") + std::string(why));
}

/// Afterwards no page is staged. Each is in its store, or zeros; or resident, if the child keeps those.
void ForkSnapshot::write_dirty(store::WriteQueue& queue) {
    // Not a RegionReader, which would wait for the fork.
    const sys::Quiescence::Reader reader{RegionMap::readers()};
    int error = finisher_.finish_all(queue);
    core_.regions.for_each([&](Region& region) {
        if (error == 0 && inheritance_ == Inheritance::by_store) error = cleaner_.clean(region, queue);
    });
    if (error != 0) sys::throw_error(error, "what is dirty cannot be written to the swap file");
}

// ---- after fork

void ForkSnapshot::go_on_in_parent() noexcept {
    if (shares_memory()) kept_.end_sharing();
    if (inheritance_ == Inheritance::plain_memory) return plain_.wait_for_child();
    if (inheritance_ == Inheritance::nothing) return;
    core_.stores->continue_as(store::ForkSide::parent);
    core_.wake_to_return_space();
}

void ForkSnapshot::close_in_child() noexcept {
    if (!shares_memory()) core_.staging.area().close_in_child();
}

void ForkSnapshot::start_in_child() {
    threads_.forget_parents_threads();
    static_cast<void>(core_.fault_trace.release());
    const trace::StackRecorder* const parents = core_.stack_recorder.release();
    static_cast<void>(writer_.release());
    if (inheritance_ == Inheritance::nothing) return;  // this process does not own the pager
    if (inheritance_ == Inheritance::plain_memory) return plain_.fill();

    core_.stores->continue_as(store::ForkSide::child);
    sys::PageMerging::start_in_child();
    try {
        delivery_.open_in_child(core_);
    } catch (const std::system_error& error) {
        if (inheritance_ != Inheritance::kept_pages) throw;
        return go_on_without_pager(error.what());
    }
    core_.mappers.start_in_child();
    std::vector<core::PageRef> pinned;
    if (inheritance_ == Inheritance::by_store) {
        core_.staging.start_in_child();
        start_without_pages(pinned);
    }
    core_.mappers.watch_staging(core_.staging.area().data(), core_.staging.area().size());
    watch_fence(delivery_.userfaultfd(), core_.staging.area(), false);
    if (inheritance_ == Inheritance::kept_pages) kept_.take_over(*delivery_.userfaultfd());
    core_.generation = sys::process_generation();
    record_stacks_in_child(parents);
    threads_.start_in_child();
    for (const core::PageRef page : pinned) bring_back(page);
}

/// The child's faults are a session of their own, whose first touches add to those of `parents`.
void ForkSnapshot::record_stacks_in_child(const trace::StackRecorder* parents) {
    if (parents == nullptr) return;
    try {
        start_stack_recorder(core_, parents->touched_units());
    } catch (const std::system_error& error) {
        core_.log.say(LogLevel::warning, std::string{"no stacks are recorded in a child of fork: "} + error.what());
    }
}

/// In a child that has its parent's resident pages, and frozen files to read the others from.
void ForkSnapshot::go_on_without_pager(const char* why) {
    core_.log.say(LogLevel::error, kNoPager + std::string(why));
    inheritance_ = Inheritance::plain_memory;
    plain_.fill();
}

/// Adds the pages that must be brought back to `pinned`.
void ForkSnapshot::start_without_pages(std::vector<core::PageRef>& pinned) {
    core_.regions.for_each([&](Region& region) {
        map_again(region);
        set_access_again(region);
        make_absent(region, pinned);
    });
    map_views_again();
}

void ForkSnapshot::map_again(Region& region) {
    if (region.window()) return map_window_again(region);
    region.mapping().restore_in_child();
    region.mapper().watch_again(region.mapping().data(), region.mapping().size());
    if (!region.shared()) watch_fence(delivery_.userfaultfd(), region.mapping(), true);
}

/// Maps the open pages of a window. The child has inherited what is mapped in the gaps.
void ForkSnapshot::map_window_again(Region& region) {
    region.mapper().watch_window_again(region.mapping().data(), region.mapping().size());
    region.open_pages().for_each_run([&](PageRange run) {
        require_set(region.mapper().map_part(region.address_of(run.first), region.offset_of(run.count)));
    });
}

/// The new mapping of a region is accessible all over; this closes what its page words and gaps close.
void ForkSnapshot::set_access_again(Region& region) {
    if (!region.has_gaps()) return set_access_again(region, {0, region.pages()});
    if (!region.window()) close_mapping(region, {0, region.pages()});
    region.open_pages().for_each_run([&](PageRange run) {
        require_set(
            region.mapper().set_access(region.address_of(run.first), region.offset_of(run.count), Access::read_write));
        set_access_again(region, run);
    });
}

/// The same for a range that is accessible, by its page words.
void ForkSnapshot::set_access_again(Region& region, PageRange range) {
    PageRange run{range.first, 0};
    PageWord kind;
    const auto set_run = [&] {
        if (run.count == 0 || kind.protection() == Access::read_write) return;
        std::byte* const address = region.address_of(run.first);
        const std::size_t bytes = region.offset_of(run.count);
        require_set(kind.guarded() ? region.mapper().set_guard(address, bytes)
                                   : region.mapper().set_access(address, bytes, kind.protection()));
    };
    region.table().for_each_touched(range, [&](std::uint64_t page) {
        const PageWord seen = region.load(page);
        const bool same = seen.protection() == kind.protection() && seen.guarded() == kind.guarded();
        if (page != run.end() || !same) {
            set_run();
            run = {page, 0};
            kind = seen;
        }
        ++run.count;
    });
    set_run();
}

void ForkSnapshot::map_views_again() {
    const mmu::SharedViews* const views = core_.views.views();
    if (views == nullptr) return;
    for (const mmu::SharedView& view : views->views()) {
        Region& region = *RegionMap::find(view.range.begin);
        const PageRange pages{region.page_of(view.range.begin), view.range.bytes() >> core::kUnitShift};
        std::byte* const address = region.address_of(pages.first);
        Region& shared = *RegionMap::find(view.source);
        require_set(
            core_.mappers.map_view(address, view.range.bytes(), shared.address_of(shared.page_of(view.source))));
        require_set(region.mapper().set_access(address, view.range.bytes(), Access::read_write));
        set_access_again(region, pages);
    }
}

/// Makes every page absent: its bytes are in the store, and it holds no frame. Adds pinned pages to `pinned`.
void ForkSnapshot::make_absent(Region& region, std::vector<core::PageRef>& pinned) {
    region.table().for_each_touched({0, region.pages()}, [&](std::uint64_t page) {
        const PageWord seen = region.load(page);
        if (seen.is(PageState::empty) || seen.is(PageState::stored)) return;
        FAULTLINE_REQUIRE(!seen.busy() && !seen.is(PageState::staged),
                          "a page had an owner, or was staged, during fork");
        if (seen.is(PageState::resident)) {
            core_.frames.remove(seen.payload());
            core_.budget.release(region.page_units());
        }
        if (seen.pins() > 0) pinned.push_back(region.ref(page));
        const core::Departure now = core::Departure::after(core_.departures.now());
        region.update(page, [now](PageWord word) { return word.reset_in_child(now); });
    });
}

void ForkSnapshot::bring_back(core::PageRef pinned) {
    const Region& region = *core_.regions.find(pinned.region);
    const bool writable = region.load(pinned.page).protection() == Access::read_write;
    const core::PageFault wanted{core::address_of(region.address_of(pinned.page)),
                                 writable ? core::FaultAccess::write : core::FaultAccess::read,
                                 core::FaultOrigin::control_call, sys::thread_token()};
    if (resolve_fault(wanted) == core::FaultOutcome::failed) {
        sys::throw_error(EIO, "a pinned page cannot be read in a child of fork");
    }
}

}  // namespace faultline::pager
