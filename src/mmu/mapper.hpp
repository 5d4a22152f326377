// Mapper: changes the mappings (page tables and VMAs) of the regions that it belongs to, and no other code does.
// Implementations call the kernel; tests replace them with a fake. A mapper keeps no page state. The caller owns every
// page that it passes (filling, evicting or pinned) and changes the page's word before the call. A pager has two
// mappers (Mappers): one for private regions, which the program uses at their own addresses, and one for shared
// regions, which it uses through views (SharedViews). The mapper of a shared region gets a page by its address in the
// region, and maps and unmaps it in all views.
#pragma once

#include "core/page_fault.hpp"
#include "core/signal_safe.hpp"

#include <faultline/types.hpp>

#include <sys/uio.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace faultline::mmu {

/// `executable` is write-protected, too. Where the kernel itself checks access (UffdMapper), `executable` equals
/// `write_protected`.
enum class Protection : std::uint8_t { writable, write_protected, executable };

/// Returns the protection for a page with the given `access`; `writable` false means that its writes must fault.
[[nodiscard]] constexpr Protection protection_for(Access access, bool writable) noexcept {
    if (writable) return Protection::writable;
    return access == Access::read_execute ? Protection::executable : Protection::write_protected;
}

/// Result of `Mapper::stage` and `Mapper::move`: the first `pages` pages have left. If `error` is 0, these are all.
/// Else the next page was refused and later pages were not tried. A refused writable page is unchanged. A refused
/// write-protected page may be partly in its slot. Moving that part back would lose the protection, so the caller drops
/// both: the store has the bytes.
struct Staged {
    std::size_t pages = 0;
    int error = 0;
};

/// Fault path calls return 0 or an errno and are signal-safe. Sizes are in bytes; addresses are page-aligned.
class Mapper {
public:
    Mapper() = default;
    virtual ~Mapper() = default;
    Mapper(const Mapper&) = delete;
    Mapper& operator=(const Mapper&) = delete;

    // ---- Regions

    /// Starts raising faults for a region. `watch_again` does so in a child of fork, where the region is a fresh
    /// mapping. Both throw std::system_error.
    virtual void watch_region(void* address, std::size_t bytes) = 0;
    virtual void watch_again(void* address, std::size_t bytes) { watch_region(address, bytes); }

    /// Returns true if a child of fork can keep its parent's mapped pages: they are private memory of the process, of
    /// which the kernel gives the child copies. The child then calls `watch_region` on what it has inherited, and
    /// write-protects again what was write-protected.
    [[nodiscard]] virtual bool children_can_keep_pages() const noexcept { return false; }

    /// Unmaps all pages of a region and frees their frames. Afterwards no call names the region except unwatch_region.
    virtual void empty_region(void* address, std::size_t bytes) FAULTLINE_SIGNAL_SAFE = 0;

    /// Prepares for the unmapping of a region. No thread reads staged bytes of it any more.
    virtual void unwatch_region(void*) noexcept {}

    // ---- Windows: regions whose parts are mapped one by one (RegionPlan::window)

    /// Prepares for a window and maps nothing. `watch_window_again` does so in a child of fork. Both throw
    /// std::system_error.
    virtual void watch_window(void*, std::size_t) {}
    virtual void watch_window_again(void*, std::size_t) {}

    /// Maps a part of a window, without any page, in place of what is mapped there, and starts raising faults for it.
    /// Returns 0 or an errno; after an error nothing of the window may be used there.
    [[nodiscard]] virtual int map_part(void*, std::size_t) noexcept { return EOPNOTSUPP; }

    /// Forgets a part of a window. Its pages are dropped, and the caller maps something else there or nothing.
    virtual void forget_part(void*, std::size_t) noexcept {}

    // ---- Mapped pages

    /// Maps copies of `from` at `page`, where nothing is mapped. Each 4 KiB unit appears at once, so no thread sees a
    /// half-filled one. On error nothing is mapped, and no write went to a unit that was mapped for a moment.
    [[nodiscard]] virtual int install(void* page, const void* from, std::size_t bytes,
                                      Protection protection) FAULTLINE_SIGNAL_SAFE = 0;

    /// `make_writable` makes a write-protected page writable; `write_protect` write-protects a mapped page. In a view
    /// whose access forbids writes, a writable page stays write-protected.
    [[nodiscard]] virtual int make_writable(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE = 0;
    [[nodiscard]] virtual int write_protect(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE = 0;

    /// Returns true if a fault on a mapped page needs no action because another thread resolved it first. This is only
    /// a hint: the caller does not own the page.
    [[nodiscard]] virtual bool is_mapped(const void* page, std::size_t bytes) const FAULTLINE_SIGNAL_SAFE = 0;

    /// Maps a resident page as its word says, whatever the program has done to its mapping by mprotect or madvise:
    /// writable if it is `dirty`, as far as `access` allows. Parts that the program dropped are zeros, if
    /// `loses_dropped_bytes`.
    [[nodiscard]] virtual int restore(void* page, std::size_t bytes, Access access,
                                      bool dirty) FAULTLINE_SIGNAL_SAFE = 0;

    /// Returns true if a page's bytes are gone when the program drops the page (madvise). FaultResolver must know: the
    /// zeros that `restore` then maps are newer than the page's copy in the store.
    [[nodiscard]] virtual bool loses_dropped_bytes() const FAULTLINE_SIGNAL_SAFE { return false; }

    /// Returns true if `install` can copy from a mapped page that the caller owns without raising a fault. False if the
    /// program has dropped the page (madvise).
    [[nodiscard]] virtual bool can_copy_from(const void* page, std::size_t bytes) const FAULTLINE_SIGNAL_SAFE {
        return is_mapped(page, bytes);
    }

    /// Returns where the bytes of a mapped page that the caller owns can be read until Mappers::release_copies: at the
    /// page, or as a copy in the free `slot`. Null: the kernel does not return them.
    [[nodiscard]] virtual const std::byte* mapped_bytes(const void* page, void* slot,
                                                        std::size_t bytes) FAULTLINE_SIGNAL_SAFE = 0;

    /// Returns true if the kernel may have removed the write protection that `write_protect` and `install` set. KSM
    /// does so when it merges pages. Then a clean page may have been written to without a fault; see UnseenWrites.
    [[nodiscard]] virtual bool protection_in_doubt() const FAULTLINE_SIGNAL_SAFE { return false; }

    // ---- Staged pages

    /// Unmaps `pages` adjacent pages, all mapped with `protection`, and puts their bytes into the adjacent slots at
    /// `slot`. No write is lost: earlier writes are in the slot, later writes fault. A writable page that the program
    /// dropped (madvise) is staged as zeros, if `loses_dropped_bytes`. EBUSY: the kernel has pinned the page because a
    /// device reads or writes it.
    [[nodiscard]] virtual Staged stage(void* page, void* slot, std::size_t page_bytes, std::size_t pages,
                                       Protection protection) FAULTLINE_SIGNAL_SAFE = 0;

    /// Returns true if the frame of a staged page stays at the page's own address, unmapped, and its slot holds no
    /// frame. Stager notes it for each page that it stages: with the page or with the slot, the frame is freed.
    [[nodiscard]] virtual bool stages_in_place() const FAULTLINE_SIGNAL_SAFE = 0;

    /// Returns true if a fault on a staged page should `unstage` it. False: the fault installs a copy of the staged
    /// bytes in a new frame. `writable`: the page is to arrive writable. `in_use`: a write of its bytes to the store is
    /// in flight, which reads the slot.
    [[nodiscard]] virtual bool should_unstage(bool writable, bool in_use) const FAULTLINE_SIGNAL_SAFE = 0;

    /// Maps a staged page again; its frame comes along and the slot becomes empty. The page is writable if its frame
    /// was in the slot, else as `restore` maps it. On error the page is staged as before, with what the program wrote
    /// meanwhile.
    [[nodiscard]] virtual int unstage(void* slot, void* page, std::size_t bytes, Access access,
                                      bool dirty) FAULTLINE_SIGNAL_SAFE = 0;

    /// Returns where the bytes of a page staged in `slot` can be read until Mappers::release_copies. Null: the kernel
    /// does not return them.
    [[nodiscard]] virtual const std::byte* staged_bytes(const void* page, void* slot,
                                                        std::size_t bytes) FAULTLINE_SIGNAL_SAFE = 0;

    /// Unmaps ranges of regions and frees their frames. Also removes poison.
    virtual void drop(std::span<const iovec> ranges) FAULTLINE_SIGNAL_SAFE = 0;

    // ---- Moved pages

    /// Returns true if `move` works. PageMover must know before it makes room at the new address.
    [[nodiscard]] virtual bool can_move() const noexcept { return false; }

    /// Moves `pages` adjacent writable pages to `to`, where nothing is mapped. They arrive writable.
    [[nodiscard]] virtual Staged move(void*, void*, std::size_t, std::size_t) FAULTLINE_SIGNAL_SAFE {
        return {0, EOPNOTSUPP};
    }

    // ---- Failed and awaited pages

    /// Makes accesses to an absent page raise SIGBUS until it is dropped. Only where Mappers::can_poison.
    [[nodiscard]] virtual int poison(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE = 0;

    /// Wakes all threads that sleep in the kernel on a fault in the range.
    virtual void wake(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE = 0;

    // ---- Access

    /// Lets the kernel refuse what `access` forbids in a range, whatever is mapped there. Does nothing where the pager
    /// answers forbidden accesses (ProtectMapper). Returns 0 or an errno.
    [[nodiscard]] virtual int set_access(void*, std::size_t, Access) noexcept { return 0; }

    /// Returns true if the mapping of each resident page carries the page's access, since the kernel does not check it
    /// by itself. Protector must know: such pages are mapped again one by one when their access changes. PinLedger
    /// must know, too: a dirty page is not always writable.
    [[nodiscard]] virtual bool maps_access_by_page() const FAULTLINE_SIGNAL_SAFE = 0;

    /// Makes the kernel raise SIGSEGV for every access to a range in which nothing is or will be mapped. Costs up to
    /// two mappings where the kernel has no guard markers. Does nothing where set_access does nothing. Returns 0 or an
    /// errno.
    [[nodiscard]] virtual int set_guard(void*, std::size_t) noexcept { return 0; }

    /// `split` splits a range into mappings of its own, so that a later set_access on it needs no more mappings. It
    /// does not change the access. `merge` allows the kernel to merge the range with its neighbours again. Returns 0 or
    /// an errno. On ENOMEM nothing has changed.
    [[nodiscard]] virtual int split(void*, std::size_t) noexcept { return 0; }
    virtual void merge(void*, std::size_t) noexcept {}

    /// Returns true if a fault that the kernel refused (PageFault::refused) is a forbidden access, whatever the page's
    /// word says. FaultResolver asks before it looks for the page.
    [[nodiscard]] virtual bool refusal_is_final() const FAULTLINE_SIGNAL_SAFE = 0;

    /// Returns the outcome of a fault on a page that allows `allowed` only. Nothing: the page is to come in all the
    /// same, and the kernel then refuses the access.
    [[nodiscard]] virtual std::optional<core::FaultOutcome> answer_forbidden(
        core::FaultAccess access, Access allowed) const FAULTLINE_SIGNAL_SAFE = 0;
};

}  // namespace faultline::mmu
