#include "preload/region_memory.hpp"

#include "core/units.hpp"
#include "preload/pinned_memory.hpp"
#include "sys/errno_of.hpp"
#include "sys/kernel_abi.hpp"
#include "sys/syscall.hpp"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <mutex>
#include <new>
#include <system_error>

namespace faultline::preload {
namespace {

using core::PageRange;

template <typename Visit>
long for_each_page(PageRange pages, Visit visit) noexcept {
    for (std::uint64_t page = pages.first; page < pages.end(); ++page) {
        if (const long error = visit(page)) return error;
    }
    return 0;
}

}  // namespace

RegionMemory::RegionMemory(pager::Region& region)
    : region_{region},
      locked_{region.pages()},
      being_locked_{region.pages()},
      wiped_on_fork_{region.pages()},
      writable_code_{region.pages()} {}

pager::Pager& RegionMemory::pager() const noexcept { return static_cast<pager::Pager&>(region_.pager()); }

std::uint64_t RegionMemory::address_of(PageRange pages) const noexcept {
    return sys::syscall_argument(region_.address_of(pages.first));
}

/// Clears a page. A page that a running system call has pinned cannot be discarded: its bytes are overwritten.
long RegionMemory::clear_page(std::uint64_t page) noexcept {
    const long error = sys::errno_of([&] { pager().discarder().discard(region_, {page, 1}); });
    if (error != -EBUSY) return error;
    if (region_.load(page).protection() != Access::read_write) return error;
    std::memset(region_.address_of(page), 0, region_.page_bytes());
    return 0;
}

/// Makes the pages read as zeros.
long RegionMemory::clear(PageRange pages) noexcept {
    const long error = sys::errno_of([&] { pager().discarder().discard(region_, pages); });
    return error == -EBUSY ? for_each_page(pages, [this](std::uint64_t page) { return clear_page(page); }) : error;
}

/// Makes one page resident, as an access would.
long RegionMemory::populate_page(std::uint64_t page, PinFor purpose) noexcept {
    const pager::PinnedFront pinned = pager().pin_front(region_, {page, 1}, purpose, pager::PinAmount::all);
    switch (pinned.error) {
        case 0:
            pager().unpin(region_, {page, 1});
            return 0;
        case EACCES:
            return -EINVAL;  // as madvise(2) reports a protection that forbids the access
        case ENOMEM:
        case EOVERFLOW:  // other pins leave no room: an access makes the page resident without a pin
            touch_managed(core::address_of(region_.address_of(page)), 1);
            return 0;
        default:
            return -EFAULT;  // the store cannot read the page, or has no room to evict another one
    }
}

long RegionMemory::populate(PageRange pages, PinFor purpose) noexcept {
    return for_each_page(pages, [this, purpose](std::uint64_t page) { return populate_page(page, purpose); });
}

long RegionMemory::hint(PageRange pages, Advice advice) noexcept {
    return sys::errno_of([&] { pager().advice().advise(region_, pages, advice); });
}

long RegionMemory::advise(PageRange pages, int advice) noexcept {
    if (advice == MADV_WIPEONFORK) in_use_.store(true, std::memory_order_relaxed);
    switch (advice) {
        case MADV_NORMAL:
            return hint(pages, Advice::normal);
        case MADV_RANDOM:
            return hint(pages, Advice::random);
        case MADV_SEQUENTIAL:
            return hint(pages, Advice::sequential);
        case MADV_WILLNEED:
            return hint(pages, Advice::willneed);
        case MADV_COLD:
            return hint(pages, Advice::cold);
        case MADV_PAGEOUT:
            return hint(pages, Advice::dontneed);  // as with faultline::Advice: evict now, keep the bytes
        case MADV_DONTNEED:
        case MADV_FREE:  // the kernel may free the pages at any time, so also at once
            return locked_.contains_any(pages) ? -EINVAL : clear(pages);
        case sys::abi::kAdviseDontneedLocked:
            return clear(pages);
        case sys::abi::kAdvisePopulateRead:
            return populate(pages, PinFor::reading);
        case sys::abi::kAdvisePopulateWrite:
            return populate(pages, PinFor::writing);
        case MADV_WIPEONFORK:
            wiped_on_fork_.insert(pages);
            return 0;
        case MADV_KEEPONFORK:
            wiped_on_fork_.erase(pages);
            return 0;
        case MADV_DOFORK:
        case MADV_UNMERGEABLE:  // managed memory already behaves as these request
        case MADV_NOHUGEPAGE:
        case MADV_DONTDUMP:
            return 0;
        default:
            // DONTFORK, MERGEABLE, HUGEPAGE, COLLAPSE, DODUMP, guards, hardware poison: EINVAL, as on a kernel without
            // them. REMOVE is for shared memory only.
            return -EINVAL;
    }
}

long RegionMemory::protect(PageRange pages, std::uint64_t protection) noexcept {
    in_use_.store(true, std::memory_order_relaxed);
    constexpr std::uint64_t kSemaphores = 8;  // PROT_SEM, which has no effect here
    protection &= ~kSemaphores;
    if ((protection & ~std::uint64_t{PROT_READ | PROT_WRITE | PROT_EXEC}) != 0) return -EINVAL;
    const bool write = (protection & PROT_WRITE) != 0;
    const bool execute = (protection & PROT_EXEC) != 0;
    if (write && execute && pager().delivery() == Delivery::sigsegv) return -EACCES;
    const Access access = write             ? Access::read_write
                          : execute         ? Access::read_execute
                          : protection != 0 ? Access::read
                                            : Access::none;
    if (const long error = sys::errno_of([&] { pager().protector().protect(region_, pages, access); })) return error;
    if (!write || !execute) {
        writable_code_.erase(pages);
        return 0;
    }
    const long error = sys::raw_syscall(SYS_mprotect, address_of(pages), bytes_of(pages), protection);
    if (error == 0) writable_code_.insert(pages);
    return error;
}

long RegionMemory::replace(PageRange pages, std::uint64_t protection) noexcept {
    if (locked_.contains_any(pages)) return -EINVAL;
    if (const long error = protect(pages, PROT_READ | PROT_WRITE)) return error;
    if (const long error = clear(pages)) return error;
    wiped_on_fork_.erase(pages);
    return protection == (PROT_READ | PROT_WRITE) ? 0 : protect(pages, protection);
}

// ---- locks

/// Pins one page until it is unlocked; for writing, if its protection permits that. Returns -ENOMEM, as mlock(2) does,
/// if the page cannot be made resident.
long RegionMemory::pin_page(std::uint64_t page) noexcept {
    pager::PinnedFront pinned = pager().pin_front(region_, {page, 1}, PinFor::writing, pager::PinAmount::all);
    if (pinned.error == EACCES) {
        pinned = pager().pin_front(region_, {page, 1}, PinFor::reading, pager::PinAmount::all);
    }
    return pinned.error == 0 ? 0 : -ENOMEM;
}

/// Pins the unlocked pages of a range and adds them to `being_locked`.
long RegionMemory::pin_unlocked(PageRange pages) noexcept {
    return for_each_page(pages, [this](std::uint64_t page) -> long {
        if (locked_.contains(page)) return 0;
        const long error = pin_page(page);
        if (error == 0) being_locked_.insert({page, 1});
        return error;
    });
}

/// Unpins the pages of a range that are in `set` and removes them from it.
void RegionMemory::unpin_all(const table::PageSet& set, PageRange pages) noexcept {
    static_cast<void>(for_each_page(pages, [&](std::uint64_t page) -> long {
        if (!set.contains(page)) return 0;
        set.erase({page, 1});
        pager().unpin(region_, {page, 1});
        sys::raw_syscall(SYS_munlock, address_of({page, 1}), bytes_of({page, 1}));
        return 0;
    }));
}

/// Returns true if the limit has room for the unlocked pages of a range. Programs try ever fewer pages until mlock
/// succeeds: an attempt that must fail should not bring the pages in.
bool RegionMemory::has_room_to_lock(PageRange pages) noexcept {
    std::uint64_t left = pager().pinnable_bytes() / core::kUnitBytes;
    return for_each_page(pages, [&](std::uint64_t page) -> long {
               return locked_.contains(page) || left-- > 0 ? 0 : -ENOMEM;
           }) == 0;
}

/// Locks the pinned pages in the kernel, too, so that the machine does not swap them and the program's own limit of
/// locked memory holds. Changes nothing on failure.
long RegionMemory::lock(PageRange pages) noexcept {
    in_use_.store(true, std::memory_order_relaxed);
    const std::lock_guard lock{locking_};
    long error = has_room_to_lock(pages) ? pin_unlocked(pages) : -ENOMEM;
    if (error == 0) error = sys::raw_syscall(SYS_mlock, address_of(pages), bytes_of(pages));
    if (error != 0) {
        unpin_all(being_locked_, pages);
        return error;
    }
    locked_.insert(pages);
    being_locked_.erase(pages);
    return 0;
}

long RegionMemory::unlock(PageRange pages) noexcept {
    const std::lock_guard lock{locking_};
    unpin_all(locked_, pages);
    return 0;
}

void RegionMemory::unlock_all() noexcept {
    const std::lock_guard lock{locking_};
    locked_.for_each_run([this](PageRange run) { unpin_all(locked_, run); });
}

// ---- free

void RegionMemory::forget(const void* block, std::size_t bytes) noexcept {
    const std::uint64_t begin = core::align_up(core::address_of(block), core::kUnitBytes);
    const std::uint64_t end = core::align_down(core::address_of(block) + bytes, core::kUnitBytes);
    if (begin >= end) return;
    const PageRange pages{region_.page_of(begin), (end - begin) / core::kUnitBytes};
    wiped_on_fork_.erase(pages);
    if (locked_.contains_any(pages)) static_cast<void>(unlock(pages));
    const bool open = for_each_page(pages, [this](std::uint64_t page) -> long {
                          return region_.load(page).protection() == Access::read_write ? 0 : 1;
                      }) == 0;
    // Ignores a failure (the kernel's limit on mappings): the pages then keep their protection in the next block.
    if (!open || writable_code_.contains_any(pages)) static_cast<void>(protect(pages, PROT_READ | PROT_WRITE));
}

void RegionMemory::forget_requests(PageRange pages) noexcept {
    if (!in_use()) return;
    wiped_on_fork_.erase(pages);
    writable_code_.erase(pages);
    if (locked_.contains_any(pages)) static_cast<void>(unlock(pages));
}

// ---- fork

void RegionMemory::start_without_pager() noexcept {
    wiped_on_fork_.for_each_run(
        [this](PageRange run) { sys::drop_pages(region_.address_of(run.first), region_.offset_of(run.count)); });
}

/// Pages stay pinned: a child does not inherit memory locks, but it inherits the pager's pins.
void RegionMemory::start_in_child() noexcept {
    wiped_on_fork_.for_each_run([this](PageRange run) { static_cast<void>(clear(run)); });
    writable_code_.for_each_run([this](PageRange run) {
        sys::raw_syscall(SYS_mprotect, address_of(run), bytes_of(run), PROT_READ | PROT_WRITE | PROT_EXEC);
    });
}

}  // namespace faultline::preload
