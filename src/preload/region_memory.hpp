// RegionMemory: what madvise, mprotect, mlock and mmap with MAP_FIXED do to pages of a managed region: the heap, or the
// window of the program's mappings.
// Every function returns 0 or a negated errno, as the kernel does for private anonymous memory. None waits for anything
// but a lock. Called by memory_calls.cpp, by free, and around fork.
#pragma once

#include "core/page_range.hpp"
#include "pager/pager.hpp"
#include "sys/futex_lock.hpp"
#include "table/page_set.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace faultline::preload {

class RegionMemory {
public:
    /// Prepares the notes of locked pages and of what children of fork must do. Throws std::system_error.
    explicit RegionMemory(pager::Region& region);

    [[nodiscard]] pager::Region& region() const noexcept { return region_; }

    /// Does what madvise(2) does.
    [[nodiscard]] long advise(core::PageRange pages, int advice) noexcept;

    /// Does what mprotect(2) does. -EACCES: writable and executable at once, under the delivery sigsegv.
    [[nodiscard]] long protect(core::PageRange pages, std::uint64_t protection) noexcept;

    /// Replaces the pages by zeros, as mmap(2) with MAP_FIXED does with a new private anonymous mapping.
    [[nodiscard]] long replace(core::PageRange pages, std::uint64_t protection) noexcept;

    /// Does what mlock(2) does: the pages become and stay resident. -ENOMEM: the resident limit has no room for them.
    [[nodiscard]] long lock(core::PageRange pages) noexcept;
    /// Do what munlock(2) and munlockall(2) do.
    [[nodiscard]] long unlock(core::PageRange pages) noexcept;
    void unlock_all() noexcept;
    [[nodiscard]] bool has_locked(core::PageRange pages) const noexcept { return locked_.contains_any(pages); }

    /// Cancels what the program has asked for the block's pages; munmap(2) would cancel it, too. Called before the
    /// block is freed. Costs one load if the program has never asked for anything.
    void forget(const void* block, std::size_t bytes) noexcept;
    /// Cancels locks and what children of fork must do, because the pages leave the region.
    void forget_requests(core::PageRange pages) noexcept;
    [[nodiscard]] bool in_use() const noexcept { return in_use_.load(std::memory_order_relaxed); }

    /// Locks and unlocks around fork, in parent and child: no other thread is inside one of these functions at the
    /// fork.
    void before_fork() noexcept { locking_.lock(); }
    void after_fork() noexcept { locking_.unlock(); }
    /// In a child of fork whose memory is not managed any more: wipes the pages marked with MADV_WIPEONFORK.
    void start_without_pager() noexcept;

    /// In a child of fork, before the program continues: wipes the pages marked with MADV_WIPEONFORK, and makes pages
    /// executable again that are both executable and writable.
    void start_in_child() noexcept;

private:
    [[nodiscard]] pager::Pager& pager() const noexcept;
    [[nodiscard]] std::uint64_t address_of(core::PageRange pages) const noexcept;
    [[nodiscard]] std::size_t bytes_of(core::PageRange pages) const noexcept { return region_.offset_of(pages.count); }

    [[nodiscard]] long clear_page(std::uint64_t page) noexcept;
    [[nodiscard]] long clear(core::PageRange pages) noexcept;
    [[nodiscard]] long populate_page(std::uint64_t page, PinFor purpose) noexcept;
    [[nodiscard]] long populate(core::PageRange pages, PinFor purpose) noexcept;
    [[nodiscard]] long hint(core::PageRange pages, Advice advice) noexcept;
    [[nodiscard]] long pin_page(std::uint64_t page) noexcept;
    [[nodiscard]] bool has_room_to_lock(core::PageRange pages) noexcept;
    [[nodiscard]] long pin_unlocked(core::PageRange pages) noexcept;
    void unpin_all(const table::PageSet& set, core::PageRange pages) noexcept;

    pager::Region& region_;
    std::atomic<bool> in_use_{false};  // true once the program has asked for anything
    sys::FutexLock locking_;           // serialises lock and unlock, so that each page is pinned once

    // What the program has requested for its pages and page words do not hold.
    table::PageSet locked_;         // each page in the set holds one pin
    table::PageSet being_locked_;   // pages that the running lock call has pinned
    table::PageSet wiped_on_fork_;  // MADV_WIPEONFORK
    table::PageSet writable_code_;  // PROT_WRITE | PROT_EXEC, which page words do not hold
};

}  // namespace faultline::preload
