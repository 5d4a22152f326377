#include "pager/snapshot/kept_pages.hpp"

#include "pager/control/region_lifecycle.hpp"
#include "pager/region/region.hpp"
#include "pager/snapshot/require_set.hpp"
#include "sys/address_limits.hpp"

#include <cerrno>
#include <string>

namespace faultline::pager {

using core::PageRange;
using core::PageState;
using core::PageWord;

bool KeptPages::may_share() const {
    if (!core_.mappers.private_mapper().children_can_keep_pages() || sys::commits_strictly()) return false;
    return !room_ || room_(static_cast<std::uint64_t>(core_.budget.used()) << core::kUnitShift);
}

bool KeptPages::share() {
    if (!core_.mappers.private_mapper().children_can_keep_pages()) return false;
    int error = core_.staging.area().copy_to_children(true);
    core_.regions.for_each([&](const Region& region) {
        if (error == 0) error = region.shared() ? EOPNOTSUPP : region.copy_to_children(true);
    });
    if (error != 0) end_sharing();
    return error == 0;
}

/// A child of which the pager is not told, made by a system call of the program, would read zeros for absent pages.
void KeptPages::end_sharing() noexcept {
    if (const int error = hide_from_children()) {
        core_.log.say(LogLevel::error,
                      "managed memory stays visible to children of fork: madvise(MADV_DONTFORK) failed with errno " +
                          std::to_string(error));
    }
}

int KeptPages::hide_from_children() const noexcept {
    int first_error = core_.staging.area().copy_to_children(false);
    core_.regions.for_each([&](const Region& region) {
        const int error = region.shared() ? 0 : region.copy_to_children(false);
        if (first_error == 0) first_error = error;
    });
    return first_error;
}

void KeptPages::take_over(sys::Userfaultfd& uffd) const {
    core_.regions.for_each([&](const Region& region) { watch_again(region, uffd); });
    require_set(hide_from_children());
    core_.regions.for_each([this](const Region& region) {
        forget_poison(region);
        protect_clean_pages(region);
    });
}

void KeptPages::watch_again(const Region& region, sys::Userfaultfd& uffd) {
    if (!region.window()) {
        region.mapper().watch_region(region.mapping().data(), region.mapping().size());
        return watch_fence(&uffd, region.mapping(), true);
    }
    region.mapper().watch_window_again(region.mapping().data(), region.mapping().size());
    region.open_pages().for_each_run([&](PageRange run) {
        region.mapper().watch_region(region.address_of(run.first), region.offset_of(run.count));
    });
}

/// The kernel write-protects for a userfaultfd, and the child's is new.
void KeptPages::protect_clean_pages(const Region& region) {
    PageRange run{0, 0};
    const auto protect_run = [&] {
        if (run.count == 0) return;
        require_set(region.mapper().write_protect(region.address_of(run.first), region.offset_of(run.count)));
    };
    region.table().for_each_touched({0, region.pages()}, [&](std::uint64_t page) {
        const PageWord seen = region.load(page);
        if (!seen.is(PageState::resident) || seen.dirty()) return;
        if (page != run.end()) {
            protect_run();
            run = {page, 0};
        }
        ++run.count;
    });
    protect_run();
}

/// The store may return the bytes to the child.
void KeptPages::forget_poison(const Region& region) const {
    region.table().for_each_touched({0, region.pages()}, [&](std::uint64_t page) {
        if (!region.load(page).is(PageState::poisoned)) return;
        const iovec range{region.address_of(page), region.page_bytes()};
        region.mapper().drop({&range, 1});
        region.update(
            page, [long_ago = core_.departures.long_ago()](PageWord word) { return word.reset_in_child(long_ago); });
    });
}

}  // namespace faultline::pager
