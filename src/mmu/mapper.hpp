// Mapper: the only interface that changes the mappings (page tables and VMAs) of managed memory. Implementations call
// the kernel; tests replace it with a fake. It keeps no page state. The caller owns every page that it passes (filling,
// evicting or pinned) and changes the page's word before the call.
#pragma once

#include "core/signal_safe.hpp"
#include "core/units.hpp"
#include "mmu/shared_views.hpp"
#include "mmu/view_registry.hpp"

#include <faultline/types.hpp>

#include <sys/uio.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>

namespace faultline::mmu {

/// `executable` is write-protected, too. Where the kernel checks access (`Mapper::checks_access`), `executable` equals
/// `write_protected`.
enum class Protection : std::uint8_t { writable, write_protected, executable };

/// Returns the protection for a page with the given `access`; `writable` false means that its writes must fault.
[[nodiscard]] constexpr Protection shown_for(Access access, bool writable) noexcept {
    if (writable) return Protection::writable;
    return access == Access::read_execute ? Protection::executable : Protection::write_protected;
}

/// What happens to a page's frame when the page is staged.
enum class StagedFrames : std::uint8_t {
    move,  ///< The frame moves to the slot. It comes back writable.
    copy,  ///< The slot gets a copy in a frame of its own. Coming back needs another frame.
    stay,  ///< The frame stays, unmapped, and comes back with the wanted protection. The slot is only for reading.
};

/// Result of `Mapper::stage`: the first `pages` whole pages are staged. If `error` is not 0, the next page was refused
/// and later pages were not tried. A refused writable page is unchanged. A refused write-protected page may be partly
/// in its slot. Moving that part back would lose the protection, so the caller drops both: the store has the bytes.
struct Staged {
    std::size_t pages = 0;
    int error = 0;
};

/// Fault path calls return 0 or an errno and are signal-safe. Sizes are in bytes; addresses are page-aligned.
class Mapper {
public:
    /// `views` is the pager's registry; null if there are no shared regions.
    explicit Mapper(const ViewRegistry* views = nullptr) noexcept : views_{views} {}
    virtual ~Mapper() = default;
    Mapper(const Mapper&) = delete;
    Mapper& operator=(const Mapper&) = delete;

    /// Starts raising faults for a region. Throws std::system_error.
    virtual void watch_region(void* address, std::size_t bytes) = 0;

    /// Releases what belongs to the parent. Call in a child of fork, where regions and staging area are fresh mappings.
    /// Afterwards each of them is watched again: regions by watch_again. Throws std::system_error.
    virtual void start_in_child() {}
    virtual void watch_again(void* address, std::size_t bytes) { watch_region(address, bytes); }

    /// Unmaps all pages of a region and frees their frames. Afterwards no call names the region except unwatch_region.
    virtual void empty_region(void* address, std::size_t bytes) FAULTLINE_SIGNAL_SAFE = 0;

    /// Prepares for the unmapping of a region. No thread reads staged bytes of it any more.
    virtual void unwatch_region(void*) noexcept {}

    /// Sets the staging area: the memory that holds the slots of staged pages. Throws std::system_error.
    virtual void watch_staging(void* address, std::size_t bytes) = 0;

    /// Returns true if `address` is in the staging area, where no thread should fault.
    [[nodiscard]] virtual bool is_staging(std::uintptr_t) const FAULTLINE_SIGNAL_SAFE { return false; }

    /// Maps copies of `from` at `page`, where nothing is mapped. Each 4 KiB unit appears at once, so no thread sees a
    /// half-filled one. On error nothing is mapped, and no write went to a unit that was mapped for a moment.
    [[nodiscard]] virtual int install(void* page, const void* from, std::size_t bytes,
                                      Protection protection) FAULTLINE_SIGNAL_SAFE = 0;

    /// Makes a write-protected page writable.
    [[nodiscard]] virtual int allow_writes(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE = 0;

    /// Returns true if a fault on a mapped page needs no action because another thread resolved it first. This is only
    /// a hint: the caller does not own the page.
    [[nodiscard]] virtual bool is_mapped(const void* page, std::size_t bytes) const FAULTLINE_SIGNAL_SAFE = 0;

    /// Returns true if `install` can copy from a mapped page that the caller owns without raising a fault. False if the
    /// program has dropped the page (madvise).
    [[nodiscard]] virtual bool can_copy_from(const void* page, std::size_t bytes) const FAULTLINE_SIGNAL_SAFE {
        return is_mapped(page, bytes);
    }

    /// Repairs a mapped page that the program changed by mprotect or madvise. Afterwards it has `protection`; dropped
    /// parts are zeros.
    [[nodiscard]] virtual int restore(void* page, std::size_t bytes, Protection protection) FAULTLINE_SIGNAL_SAFE = 0;

    /// Returns true if the kernel may have removed the write protection that `forbid_writes` and `install` set. KSM
    /// does so when it merges pages. Then a clean page may have been written to without a fault; see UnseenWrites.
    [[nodiscard]] virtual bool protection_in_doubt() const FAULTLINE_SIGNAL_SAFE { return false; }

    /// Write-protects a mapped page.
    [[nodiscard]] virtual int forbid_writes(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE = 0;

    /// Sets the access of a range in the MMU, whatever is mapped there. Only where `checks_access`. Returns 0 or an
    /// errno.
    [[nodiscard]] virtual int set_access(void*, std::size_t, Access) noexcept { return EOPNOTSUPP; }

    /// `part` splits a range into mappings of its own, so that a later set_access on it needs no more mappings. It does
    /// not change the access. `rejoin` allows the kernel to merge the range with its neighbours again. Returns 0 or an
    /// errno. On ENOMEM nothing has changed.
    [[nodiscard]] virtual int part(void*, std::size_t) noexcept { return 0; }
    virtual void rejoin(void*, std::size_t) noexcept {}

    /// Makes every access to a range raise SIGSEGV. Nothing is or will be mapped in the range. Only where
    /// `checks_access`. Costs up to two mappings where the kernel has no guard markers. Returns 0 or an errno.
    [[nodiscard]] virtual int set_guard(void*, std::size_t) noexcept { return EOPNOTSUPP; }

    /// Returns true if the kernel refuses forbidden accesses by itself. If false, each is a fault, which the caller
    /// must answer.
    [[nodiscard]] virtual bool checks_access() const FAULTLINE_SIGNAL_SAFE = 0;

    /// Unmaps `pages` adjacent pages, all mapped with `protection`, and puts their bytes into the adjacent slots at
    /// `slot`. No write is lost: earlier writes are in the slot, later writes fault. A writable page that the program
    /// dropped (madvise) is staged as zeros. EBUSY: the kernel has pinned the page because a device reads or writes it.
    [[nodiscard]] virtual Staged stage(void* page, void* slot, std::size_t page_bytes, std::size_t pages,
                                       Protection protection) FAULTLINE_SIGNAL_SAFE = 0;

    /// Maps a staged page again; its frame comes along and the slot becomes empty. The page is writable; only
    /// StagedFrames::stay maps it with `protection`. On error all bytes are in the slot, including writes that the
    /// program made meanwhile. Only with StagedFrames::stay, a part may stay mapped after an error.
    [[nodiscard]] virtual int unstage(void* slot, void* page, std::size_t bytes,
                                      Protection protection) FAULTLINE_SIGNAL_SAFE = 0;

    /// Returns where the bytes of a page staged in `slot` can be read until release_staged_bytes. Null: the kernel does
    /// not return them.
    [[nodiscard]] virtual const std::byte* staged_bytes(const void* page, void* slot,
                                                        std::size_t bytes) FAULTLINE_SIGNAL_SAFE = 0;

    /// Frees copies that staged_bytes made for adjacent slots. The caller reads these slots no more.
    virtual void release_staged_bytes(void*, std::size_t) FAULTLINE_SIGNAL_SAFE {}

    /// Unmaps ranges of regions or of the staging area and frees their frames. Also removes poison.
    virtual void drop(std::span<const iovec> ranges) FAULTLINE_SIGNAL_SAFE = 0;

    /// Makes accesses to an absent page raise SIGBUS until it is dropped. Only where `can_poison`.
    [[nodiscard]] virtual int poison(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE = 0;
    [[nodiscard]] virtual bool can_poison() const FAULTLINE_SIGNAL_SAFE = 0;

    /// Wakes all threads that sleep in the kernel on a fault in the range.
    virtual void wake(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE = 0;

    [[nodiscard]] virtual StagedFrames staged_frames() const FAULTLINE_SIGNAL_SAFE = 0;

    /// Returns how pages are evicted, for statistics: never `automatic`.
    [[nodiscard]] virtual Eviction eviction() const noexcept = 0;

    /// Returns true if the process has nearly as many mappings as the kernel allows (vm.max_map_count) because of
    /// scattered mapped pages. Calls may soon fail with ENOMEM: evict the runs that `fragmenting_runs` returns.
    [[nodiscard]] virtual bool short_of_mappings() const FAULTLINE_SIGNAL_SAFE { return false; }
    /// Like short_of_mappings, but true a little earlier: background threads begin to evict such runs.
    [[nodiscard]] virtual bool low_on_mappings() const FAULTLINE_SIGNAL_SAFE { return false; }

    /// Fills `runs` with short runs of mapped pages, shortest first, whose eviction frees mappings. The next call
    /// continues the search. Returns the number of runs.
    [[nodiscard]] virtual std::size_t fragmenting_runs(std::span<iovec>) FAULTLINE_SIGNAL_SAFE { return 0; }

    // ---- Shared regions. The calls above name a page of a shared region by its address in the region. They map and
    // unmap it in all views of the region. A writable page is writable in those views whose access allows it. Frames
    // stay (StagedFrames::stay). When the program drops a part of a view (madvise), the frame stays, too.

    /// Returns true if shared regions work here. Called before the first is created. Throws std::system_error (EMFILE).
    [[nodiscard]] virtual bool prepare_views() { return false; }

    /// Replaces watch_region, and watch_again in a child of fork, for shared regions. Throws std::system_error.
    virtual void watch_shared(void* address, std::size_t bytes) { watch_region(address, bytes); }
    virtual void watch_shared_again(void* address, std::size_t bytes) { watch_again(address, bytes); }

    /// `map_view` maps a view of a region over a range. Nothing is mapped in the range, and no access to it succeeds
    /// before or after the call. `unmap_view` removes it. Both return 0 or an errno; on error nothing has changed.
    [[nodiscard]] virtual int map_view(void*, std::size_t, const void*) noexcept { return EOPNOTSUPP; }
    [[nodiscard]] virtual int unmap_view(void*, std::size_t) noexcept { return EOPNOTSUPP; }

protected:
    /// Returns the views of all shared regions; null if there are none. The caller is a reader (ViewRegistry::views).
    [[nodiscard]] const SharedViews* views() const FAULTLINE_SIGNAL_SAFE {
        return views_ == nullptr ? nullptr : views_->views();
    }
    /// Returns the views if `page` belongs to a shared region, else null.
    [[nodiscard]] const SharedViews* views_of(const void* page) const FAULTLINE_SIGNAL_SAFE {
        const SharedViews* const all = views();
        return all != nullptr && all->is_shared(core::address_of(page)) ? all : nullptr;
    }

private:
    const ViewRegistry* views_;
};

}  // namespace faultline::mmu
