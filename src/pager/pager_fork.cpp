// The pager's part of a fork; see forking.hpp for the whole.

#include "core/check.hpp"
#include "pager/fault_path_section.hpp"
#include "pager/pager.hpp"
#include "store/write_queue.hpp"
#include "sys/error.hpp"
#include "sys/fork_watch.hpp"
#include "sys/service_thread.hpp"

#include <cerrno>
#include <exception>
#include <memory>
#include <string>
#include <vector>

namespace faultline::detail {

using core::PageState;
using core::PageWord;

void Pager::lock_for_fork() {
    control_.lock();
    regions_.for_each([](Region& region) { region.protecting().lock(); });
    log_.lock();
}

void Pager::unlock_after_fork() noexcept {
    log_.unlock();
    regions_.for_each([](Region& region) { region.protecting().unlock(); });
    control_.unlock();
}

void Pager::prepare_fork() noexcept {
    fork_prepared_ = false;
    if (async_reader_) async_reader_->drain();
    try {
        // Not on this thread of the program's: whoever submits to a ring has calls interrupted when it is closed.
        std::exception_ptr failure;
        {
            const sys::ServiceThread writer{"fl-fork", "see `ulimit -u`", [&] {
                                                try {
                                                    write_everything();
                                                    stores_->prepare_fork();
                                                } catch (...) {
                                                    failure = std::current_exception();
                                                }
                                            }};
        }
        if (failure) std::rethrow_exception(failure);
        fork_prepared_ = true;
    } catch (const std::exception& error) {
        log_.say(LogLevel::error, std::string("a child of fork does not inherit its managed memory: ") + error.what());
    }
}

/// Nothing is left that is not in the store, or zeros.
void Pager::write_everything() {
    const std::unique_ptr<store::WriteQueue> queue = store::fastest_write_queue();
    int error = evictor_.settle_all(*queue);
    regions_.for_each([&](Region& region) {
        core::PageRange run{};
        const auto clean_run = [&] {
            if (error == 0) error = evictor_.clean(region, run, *queue);
        };
        region.table().for_each_touched({0, region.pages()}, [&](std::uint64_t page) {
            if (page != run.end()) {
                clean_run();
                run = {page, 0};
            }
            ++run.count;
        });
        clean_run();
    });
    if (error != 0) sys::throw_error(error, "what is dirty cannot be written to the swap file");
}

void Pager::go_on_in_parent() noexcept {
    if (fork_prepared_) stores_->continue_as(store::ForkSide::parent);
}

void Pager::close_in_child() noexcept { staging_.area().close_in_child(); }

void Pager::start_in_child() {
    // What stands for the parent's threads cannot be destroyed here, where they are not.
    static_cast<void>(thread_source_.release());
    static_cast<void>(async_reader_.release());
    static_cast<void>(housekeeper_.release());
    static_cast<void>(keeper_.release());
    if (!fork_prepared_) return;  // and so this process is not the owner's

    stores_->continue_as(store::ForkSide::child);
    if (uffd_) uffd_.emplace(uffd_->notify());
    mapper_.start_in_child();
    staging_.start_in_child();
    mapper_.watch_staging(staging_.area().data(), staging_.area().size());
    std::vector<core::PageRef> pinned;
    regions_.for_each([&](Region& region) {
        region.view().restore_in_child();
        mapper_.watch_again(region.view().data(), region.view().size());
        leave_pages_behind(region, pinned);
        restore_protection(region);
    });
    generation_ = sys::process_generation();
    start_threads();
    for (const core::PageRef page : pinned) bring_pinned_back(page);
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
        while (!region.try_change(page, seen, seen.left_behind(evictor_.sequence()))) {
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
