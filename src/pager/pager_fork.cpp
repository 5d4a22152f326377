// The pager's part of a fork; see forking.hpp for the whole.

#include "core/check.hpp"
#include "pager/fault_path_section.hpp"
#include "pager/pager.hpp"
#include "pager/region_tree.hpp"
#include "pager/unseen_writes.hpp"
#include "store/write_queue.hpp"
#include "sys/error.hpp"
#include "sys/fork_watch.hpp"
#include "sys/page_merging.hpp"

#include <cerrno>
#include <exception>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

namespace faultline::detail {

using core::PageState;
using core::PageWord;

namespace {

void require_set(int error) {
    if (error != 0) sys::throw_error(error, "cannot protect memory in a child of fork as it was in its parent");
}

}  // namespace

void Pager::lock_for_fork() {
    try {
        fork_writer_ = std::make_unique<StandstillWriter>("fl-fork");
    } catch (const std::exception& error) {
        log_.say(LogLevel::error, std::string("no thread for a fork: ") + error.what());
    }
    control_.lock();
    regions_.for_each([](Region& region) { region.protecting().lock(); });
    changing_views_.lock();
    log_.lock();
}

void Pager::unlock_after_fork() noexcept {
    log_.unlock();
    changing_views_.unlock();
    regions_.for_each([](Region& region) { region.protecting().unlock(); });
    control_.unlock();
    fork_writer_.reset();
}

void Pager::prepare_fork() noexcept {
    fork_prepared_ = false;
    if (async_reader_) async_reader_->drain();
    if (!fork_writer_) return;  // and the log says why
    sys::PageMerging::look();
    try {
        fork_writer_->run([this](store::WriteQueue& queue) {
            write_everything(queue);
            stores_->prepare_fork();
        });
        fork_prepared_ = true;
    } catch (const std::exception& error) {
        log_.say(LogLevel::error, std::string("a child of fork does not inherit its managed memory: ") + error.what());
    }
}

/// Nothing is left that is not in the store, or zeros.
void Pager::write_everything(store::WriteQueue& queue) {
    // Not a RegionReader, which would wait for the fork: a store may look at what its owner is just replacing.
    const Quiescence::Reader reader{RegionTree::readers()};
    int error = evictor_.settle_all(queue);
    regions_.for_each([&](Region& region) {
        if (error == 0) error = clean_all(region, queue);
    });
    if (error != 0) sys::throw_error(error, "what is dirty cannot be written to the swap file");
}

/// Writes what is dirty of a region. Returns 0 or an error.
int Pager::clean_all(Region& region, store::WriteQueue& queue) {
    if (mapper_.protection_in_doubt()) UnseenWrites{regions_}.find_in(region, {0, region.pages()});
    int error = 0;
    core::PageRange run{};
    const auto clean_run = [&] {
        if (error == 0) error = evictor_.clean(region, run, queue);
    };
    region.table().for_each_touched({0, region.pages()}, [&](std::uint64_t page) {
        if (page != run.end()) {
            clean_run();
            run = {page, 0};
        }
        ++run.count;
    });
    clean_run();
    return error;
}

void Pager::go_on_in_parent() noexcept {
    if (!fork_prepared_) return;
    stores_->continue_as(store::ForkSide::parent);
    wake_to_return_space();
}

void Pager::close_in_child() noexcept { staging_.area().close_in_child(); }

void Pager::start_in_child() {
    // What stands for the parent's threads cannot be destroyed here, where they are not.
    static_cast<void>(thread_source_.release());
    static_cast<void>(async_reader_.release());
    static_cast<void>(housekeeper_.release());
    static_cast<void>(keeper_.release());
    if (uffd_) uffd_->set_stand_in(nullptr);
    static_cast<void>(trace_.release());
    static_cast<void>(fork_writer_.release());
    if (!fork_prepared_) return;  // and so this process is not the owner's

    stores_->continue_as(store::ForkSide::child);
    if (uffd_) open_userfaultfd_in_child();
    mapper_.start_in_child();
    staging_.start_in_child();
    watch_staging();
    std::vector<core::PageRef> pinned;
    regions_.for_each([&](Region& region) {
        region.view().restore_in_child();
        std::byte* const view = region.view().data();
        region.shared() ? mapper_.watch_shared_again(view, region.view().size())
                        : mapper_.watch_again(view, region.view().size());
        if (!region.shared()) watch_fence(region.view(), true);
        set_access_again(region);
        leave_pages_behind(region, pinned);
    });
    map_views_again();
    generation_ = sys::process_generation();
    start_threads();
    for (const core::PageRef page : pinned) bring_pinned_back(page);
}

/// A process that has given up its privileges may not get what its parent had. It can do without: the faults of its own
/// threads need no privilege.
void Pager::open_userfaultfd_in_child() {
    try {
        return uffd_->open_again_in_child();
    } catch (const std::system_error& refusal) {
        if (uffd_->notify() == sys::Userfaultfd::Notify::by_sigbus) throw;
        log_.say(
            LogLevel::warning,
            std::string("a child of fork takes its faults by uffd_signal instead of uffd_threads: ") + refusal.what());
    }
    uffd_.emplace(sys::Userfaultfd::Notify::by_sigbus);
    config_.delivery = Delivery::uffd_signal;
    regions_.for_each([](Region& region) { region.forget_kernel_sleepers(); });
    start_taking_signals();
}

/// The view of a region in a child is accessible all over.
void Pager::set_access_again(Region& region) {
    if (!mapper_.checks_access()) return;
    if (region.owner() == nullptr) return set_access_again(region, {0, region.pages()});
    close_view(region, {0, region.pages()});
    region.open_pages().for_each_run([&](core::PageRange run) {
        require_set(mapper_.set_access(region.address_of(run.first), region.offset_of(run.count), Access::read_write));
        set_access_again(region, run);
    });
}

/// Of a range that is accessible: as the words say.
void Pager::set_access_again(Region& region, core::PageRange range) {
    core::PageRange run{range.first, 0};
    core::PageWord kind;
    const auto set_run = [&] {
        if (run.count == 0 || kind.protection() == Access::read_write) return;
        std::byte* const address = region.address_of(run.first);
        const std::size_t bytes = region.offset_of(run.count);
        require_set(kind.guarded() ? mapper_.set_guard(address, bytes)
                                   : mapper_.set_access(address, bytes, kind.protection()));
    };
    region.table().for_each_touched(range, [&](std::uint64_t page) {
        const core::PageWord seen = region.load(page);
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

void Pager::map_views_again() {
    const mmu::SharedViews* const views = mapper_.views();
    if (views == nullptr) return;
    for (const mmu::SharedView& view : views->views()) {
        Region& region = *RegionTree::find(view.range.begin);
        const core::PageRange pages{region.page_of(view.range.begin), view.range.bytes() >> core::kUnitShift};
        std::byte* const address = region.address_of(pages.first);
        Region& shared = *RegionTree::find(view.source);
        require_set(mapper_.map_view(address, view.range.bytes(), shared.address_of(shared.page_of(view.source))));
        if (!mapper_.checks_access()) continue;
        require_set(mapper_.set_access(address, view.range.bytes(), Access::read_write));
        set_access_again(region, pages);
    }
}

/// Every page is at home, and holds no frame.
void Pager::leave_pages_behind(Region& region, std::vector<core::PageRef>& pinned) {
    region.table().for_each_touched({0, region.pages()}, [&](std::uint64_t page) {
        PageWord seen = region.load(page);
        if (seen.is(PageState::empty) || seen.is(PageState::stored)) return;
        FAULTLINE_REQUIRE(!seen.busy() && !seen.is(PageState::staged), "a page was on its way during fork");
        if (seen.is(PageState::resident)) {
            frames_.remove(seen.payload());
            budget_.release(region.page_units());
        }
        if (seen.pins() > 0) pinned.push_back(region.ref(page));
        while (!region.try_change(page, seen, seen.left_behind(core::Departure::after(evictor_.sequence())))) {
        }
    });
}

void Pager::bring_pinned_back(core::PageRef page) {
    Region& region = *regions_.find(page.region);
    const core::PageFault wanted{
        core::address_of(region.address_of(page.page)),
        region.load(page.page).protection() == Access::read_write ? core::FaultAccess::write : core::FaultAccess::read,
        core::FaultOrigin::control_call, sys::thread_token()};
    if (resolve(wanted) == core::FaultOutcome::failed) sys::throw_error(EIO, "a pinned page cannot be read in a child");
}

}  // namespace faultline::detail
