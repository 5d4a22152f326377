#include "pager/control/protector.hpp"

#include "core/check.hpp"
#include "pager/control/range_errors.hpp"
#include "pager/region/fault_path_section.hpp"
#include "pager/region/range_pieces.hpp"
#include "sys/error.hpp"
#include "sys/mapping_limit.hpp"
#include "sys/transient.hpp"

#include <cerrno>
#include <chrono>
#include <mutex>
#include <optional>

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
    core_.mapper.checks_access() ? protect_by_mmu(region, range, access) : protect_by_faults(region, range, access);
}

/// Each forbidden access is a fault, which the page's word answers.
void Protector::protect_by_faults(Region& region, PageRange range, Access access) {
    const bool executable = any_executable(region, range);
    if (access == Access::read_write) remap_resident(region, range, access, executable);
    set_protection(region, range, access);
    if (access == Access::none) {
        evict_all(region, range);
    } else if (access != Access::read_write) {
        remap_resident(region, range, access, executable);
    }
    view_mapper_.set_access(region, range, access);
}

void Protector::protect_by_mmu(Region& region, PageRange range, Access access) {
    std::byte* const address = region.address_of(range.first);
    const std::size_t bytes = region.offset_of(range.count);
    if (access == Access::read_write) {  // the mapping opens before a word allows an access
        if (const int error = core_.mapper.set_access(address, bytes, access)) {
            refuse_range(error, "change the protection of", bytes);
        }
        set_protection(region, range, access);
        return;
    }
    set_protection(region, range, access);
    // The kernel moves and copies nothing out of a mapping without access, so resident pages leave first. Absent pages
    // cannot come in any more.
    if (access == Access::none) evict_all(region, range);
    if (const int error = core_.mapper.set_access(address, bytes, access)) {
        set_protection(region, range, Access::read_write);
        refuse_range(error, "change the protection of", bytes);
    }
}

void Protector::guard(Region& region, PageRange range) {
    core_.require_owner_process();
    const std::lock_guard lock{region.protecting()};
    const sys::SignalBlock signals;  // as in protect
    change_words(region, range, [](PageWord word) { return word.with_guard(); });
    evict_all(region, range);
    if (!core_.mapper.checks_access()) return;
    const std::size_t bytes = region.offset_of(range.count);
    const int error = core_.mapper.set_guard(region.address_of(range.first), bytes);
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

/// Maps resident pages as `access` says, where the pager checks access: dirty pages are writable only where the program
/// may write, and pages are executable only where it may execute. A page that becomes executable is mapped so by its
/// first execution.
void Protector::remap_resident(Region& region, PageRange range, Access access, bool executable) {
    for_each_piece(range, [&](PageRange piece) {
        const FaultPathSection section;
        region.table().for_each_touched(piece, [&](std::uint64_t page) {
            const auto was = region.wait_and_claim(page, [&](PageWord word) {
                const bool changes = word.is(PageState::resident) && (word.dirty() || executable);
                return changes ? std::optional{word.claimed_for_change()} : std::nullopt;
            });
            if (!was) return;
            const bool writable = access == Access::read_write && was->dirty();
            const int error = room_.retry([&] {
                return writable ? core_.mapper.allow_writes(region.address_of(page), region.page_bytes())
                                : core_.mapper.forbid_writes(region.address_of(page), region.page_bytes());
            });
            FAULTLINE_REQUIRE_MAPPED(error, "a page's protection cannot be changed");
            region.publish(page, [](PageWord word) { return word.filled(word.payload(), word.dirty()); });
        });
    });
}

}  // namespace faultline::pager
