#include "pager/control/protector.hpp"

#include "pager/control/range_errors.hpp"
#include "pager/control/remap_resident.hpp"
#include "pager/region/fault_path_section.hpp"
#include "pager/region/range_pieces.hpp"
#include "sys/error.hpp"
#include "sys/mapping_limit.hpp"
#include "sys/transient.hpp"

#include <cerrno>
#include <chrono>
#include <mutex>

namespace faultline::pager {

using core::PageRange;
using core::PageState;
using core::PageWord;

namespace {

bool any_resident(const Region& region, PageRange range) {
    bool found = false;
    region.table().for_each_touched(range, [&](std::uint64_t page) {
        const PageWord seen = region.load(page);
        found |= seen.busy() || seen.is(PageState::resident);
    });
    return found;
}

bool any_executable(const Region& region, PageRange range) {
    bool found = false;
    region.table().for_each_touched(
        range, [&](std::uint64_t page) { found |= region.load(page).protection() == Access::read_execute; });
    return found;
}

}  // namespace

void set_protection(const Region& region, PageRange range, Access access) {
    change_words(region, range, [access](PageWord word) { return word.with_protection(access); });
}

void Protector::protect(Region& region, PageRange range, Access access) {
    core_.require_owner_process();
    const std::lock_guard lock{region.protecting()};
    // Between the change of the words and that of the mapping, forbidden accesses wait: a signal handler on this thread
    // would wait for itself.
    const sys::SignalBlock signals;
    if (access == Access::none && any_pinned(region, range)) sys::throw_error(EBUSY, "pages of the range are pinned");
    const bool executable = any_executable(region, range);
    if (access == Access::read_write) {  // the mapping opens before a word allows an access
        set_mapped_access(region, range, access, executable);
        set_protection(region, range, access);
        return;
    }
    set_protection(region, range, access);
    // The kernel moves and copies nothing out of a mapping without access, so resident pages leave first. Absent pages
    // cannot come in any more.
    if (access == Access::none) evict_all(region, range);
    try {
        set_mapped_access(region, range, access, executable);
    } catch (...) {
        set_protection(region, range, Access::read_write);
        throw;
    }
}

/// Has the mappings of a range allow what `access` says: with one call, or page by page where each page's mapping
/// carries its access. `executable`: pages of the range may be executable now.
void Protector::set_mapped_access(Region& region, PageRange range, Access access, bool executable) {
    mmu::Mapper& mapper = region.mapper();
    const std::size_t bytes = region.offset_of(range.count);
    if (const int error = mapper.set_access(region.address_of(range.first), bytes, access)) {
        refuse_range(error, "change the protection of", bytes);
    }
    if (!mapper.maps_access_by_page()) return;
    if (access != Access::none) remap_pages(region, range, access, executable);
    view_mapper_.set_access(region, range, access);
}

/// Maps resident pages as `access` says: dirty pages are writable only where the program may write, and pages are
/// executable only where it may execute. A page that becomes executable is mapped so by its first execution.
void Protector::remap_pages(Region& region, PageRange range, Access access, bool executable) {
    remap_resident(
        room_, region, range, [executable](PageWord word) { return word.dirty() || executable; },
        [&](std::byte* page, PageWord word) {
            const bool writable = access == Access::read_write && word.dirty();
            return writable ? region.mapper().make_writable(page, region.page_bytes())
                            : region.mapper().write_protect(page, region.page_bytes());
        });
}

void Protector::guard(Region& region, PageRange range) {
    core_.require_owner_process();
    const std::lock_guard lock{region.protecting()};
    const sys::SignalBlock signals;  // as in protect
    change_words(region, range, [](PageWord word) { return word.with_guard(); });
    evict_all(region, range);
    const std::size_t bytes = region.offset_of(range.count);
    const int error = region.mapper().set_guard(region.address_of(range.first), bytes);
    if (error == 0) return;
    set_protection(region, range, Access::read_write);
    sys::throw_mapping_error(error, "cannot place a guard of " + sys::readable_bytes(bytes),
                             "without guard markers (MADV_GUARD_INSTALL, Linux 6.13) each guard takes two mappings");
}

/// Evicts pages that can no longer come in, until none is in the program's view.
void Protector::evict_all(Region& region, PageRange range) {
    store::SequentialWriteQueue queue;
    while (any_resident(region, range)) {
        const FaultPathSection section;
        wait_until_unowned(region, range);
        const Reclaimed evicted = evictor_.evict(region, range, queue);
        if (evicted.write_error != 0 && !evicted.progress) return;  // staged pages are off the view, too
        if (evicted.refused && !evicted.progress) sys::nap(std::chrono::milliseconds{1});
    }
}

}  // namespace faultline::pager
