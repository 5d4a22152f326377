// Mapper: the only thing that changes what the MMU sees of managed memory. A seam: the real ones call the kernel, tests
// put a fake here. It keeps no state of pages; the caller owns every page it names (filling, evicting, pinned), and has
// changed the page's word before.
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

/// `executable` is write-protected, too; where the kernel checks access (`Mapper::checks_access`) it is no more than
/// that.
enum class Protection : std::uint8_t { writable, write_protected, executable };

/// How a page that the program may use so is mapped while writes to it are let through, or are not.
[[nodiscard]] constexpr Protection shown_for(Access access, bool writable) noexcept {
    if (writable) return Protection::writable;
    return access == Access::read_execute ? Protection::executable : Protection::write_protected;
}

/// What becomes of a page's frame when the page is staged.
enum class StagedFrames : std::uint8_t {
    move,  ///< It goes to the slot, and comes back writable.
    copy,  ///< The slot gets a copy, in a frame of its own; coming back takes another.
    stay,  ///< It stays the page's and is only hidden, and comes back as wanted; the slot is for reading its bytes.
};

/// How far `Mapper::stage` came: `pages` whole pages are staged; with `error` not 0 the next page was refused, and
/// pages after it were not tried. A refused writable page is where it was. A refused write-protected page may be partly
/// in its slot: putting it back would lose the protection, and its home has the bytes, so the caller drops both.
struct Staged {
    std::size_t pages = 0;
    int error = 0;
};

/// Fault path calls return 0 or an errno and are signal-safe; sizes are in bytes, addresses page-aligned.
class Mapper {
public:
    /// `views`: the pager's; null where there are no shared regions.
    explicit Mapper(const ViewRegistry* views = nullptr) noexcept : views_{views} {}
    virtual ~Mapper() = default;
    Mapper(const Mapper&) = delete;
    Mapper& operator=(const Mapper&) = delete;

    /// Starts raising faults for a region. Throws std::system_error.
    virtual void watch_region(void* address, std::size_t bytes) = 0;

    /// In a child of fork, whose regions and staging area are fresh mappings: lets go of what is the parent's. Each is
    /// then watched again, regions by watch_again. Throws std::system_error.
    virtual void start_in_child() {}
    virtual void watch_again(void* address, std::size_t bytes) { watch_region(address, bytes); }

    /// Forgets all that is mapped in a region: frames are free. No call names it any more, except the next one.
    virtual void empty_region(void* address, std::size_t bytes) FAULTLINE_SIGNAL_SAFE = 0;

    /// The region is about to be unmapped, and nobody reads staged bytes of it any more.
    virtual void unwatch_region(void*) noexcept {}

    /// Says where staged pages go. Throws std::system_error.
    virtual void watch_staging(void* address, std::size_t bytes) = 0;

    /// Whether `address` is in the staging area, where nobody should fault.
    [[nodiscard]] virtual bool is_staging(std::uintptr_t) const FAULTLINE_SIGNAL_SAFE { return false; }

    /// Maps copies of `from` at `page`, where nothing is mapped, each 4 KiB at once: nobody sees a half-filled one. On
    /// error nothing is mapped, and nothing that was mapped meanwhile could be written to.
    [[nodiscard]] virtual int install(void* page, const void* from, std::size_t bytes,
                                      Protection protection) FAULTLINE_SIGNAL_SAFE = 0;

    /// Lets the program write to a write-protected page.
    [[nodiscard]] virtual int allow_writes(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE = 0;

    /// Whether a fault on a page that should be mapped needs nothing, because another thread was faster: only a look,
    /// by a caller that does not own the page.
    [[nodiscard]] virtual bool is_mapped(const void* page, std::size_t bytes) const FAULTLINE_SIGNAL_SAFE = 0;

    /// Whether `install` can copy from a mapped page that the caller owns, without a fault on the way: not if the
    /// program has dropped it.
    [[nodiscard]] virtual bool can_copy_from(const void* page, std::size_t bytes) const FAULTLINE_SIGNAL_SAFE {
        return is_mapped(page, bytes);
    }

    /// Puts right what the program has done to a mapped page by mprotect or madvise: it is as `protection` says, and
    /// what has been dropped is zeros.
    [[nodiscard]] virtual int restore(void* page, std::size_t bytes, Protection protection) FAULTLINE_SIGNAL_SAFE = 0;

    /// Whether the kernel may have taken the protection away that `forbid_writes` and `install` have given (KSM does,
    /// when it merges pages): then a clean page may have been written to without a fault; see UnseenWrites.
    [[nodiscard]] virtual bool protection_in_doubt() const FAULTLINE_SIGNAL_SAFE { return false; }

    /// Makes writes to a mapped page fault.
    [[nodiscard]] virtual int forbid_writes(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE = 0;

    /// Sets what the MMU itself lets the program do in a range, whatever is mapped there. Only where `checks_access`.
    /// Returns 0 or an errno.
    [[nodiscard]] virtual int set_access(void*, std::size_t, Access) noexcept { return EOPNOTSUPP; }

    /// Makes mappings of their own of a range, if set_access on it could take more mappings, without changing what may
    /// be done there: afterwards set_access takes none. And lets them be one with what is beside them again. Returns 0
    /// or an errno: ENOMEM, and then nothing has changed.
    [[nodiscard]] virtual int part(void*, std::size_t) noexcept { return 0; }
    virtual void rejoin(void*, std::size_t) noexcept {}

    /// Closes a range in which nothing is mapped, and never will be, for all accesses: SIGSEGV. Only where
    /// `checks_access`. Where the kernel has no guard markers it costs up to two mappings. Returns 0 or an errno.
    [[nodiscard]] virtual int set_guard(void*, std::size_t) noexcept { return EOPNOTSUPP; }

    /// Whether the kernel refuses forbidden accesses without asking us; else each is a fault, and the caller answers.
    [[nodiscard]] virtual bool checks_access() const FAULTLINE_SIGNAL_SAFE = 0;

    /// Takes `pages` neighbouring pages, all mapped with `protection`, off the program's view and into the neighbouring
    /// slots at `slot`. No write is lost: what the program wrote before is in the slot, what it writes after faults.
    /// What the program has dropped (madvise) is staged as the zeros that it now is, if it was writable.
    /// EBUSY: the kernel holds the page (a device reads or writes it).
    [[nodiscard]] virtual Staged stage(void* page, void* slot, std::size_t page_bytes, std::size_t pages,
                                       Protection protection) FAULTLINE_SIGNAL_SAFE = 0;

    /// Puts a staged page back into the program's view; its frame goes along and the slot is empty. It arrives
    /// writable, except where frames stay: then as `protection` says. On error all of it is in its slot, with what the
    /// program could write to it meanwhile; except where frames stay: then some of it may be seen.
    [[nodiscard]] virtual int unstage(void* slot, void* page, std::size_t bytes,
                                      Protection protection) FAULTLINE_SIGNAL_SAFE = 0;

    /// Where the bytes of a page that was staged in `slot` can be read, until they are released. Null: the kernel does
    /// not return them.
    [[nodiscard]] virtual const std::byte* staged_bytes(const void* page, void* slot,
                                                        std::size_t bytes) FAULTLINE_SIGNAL_SAFE = 0;

    /// The bytes of neighbouring slots are not read any more: copies that were made for it can go.
    virtual void release_staged_bytes(void*, std::size_t) FAULTLINE_SIGNAL_SAFE {}

    /// Forgets what is mapped in the ranges, of regions or of the staging area: frames are free, and so is poison.
    virtual void drop(std::span<const iovec> ranges) FAULTLINE_SIGNAL_SAFE = 0;

    /// Makes accesses to an absent page raise SIGBUS until it is dropped. Only where `can_poison`.
    [[nodiscard]] virtual int poison(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE = 0;
    [[nodiscard]] virtual bool can_poison() const FAULTLINE_SIGNAL_SAFE = 0;

    /// Wakes whoever sleeps in the kernel for the range.
    virtual void wake(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE = 0;

    [[nodiscard]] virtual StagedFrames staged_frames() const FAULTLINE_SIGNAL_SAFE = 0;

    /// How pages leave, for those who ask: never `automatic`.
    [[nodiscard]] virtual Eviction eviction() const noexcept = 0;

    /// Whether the process has nearly as many mappings as the kernel allows (vm.max_map_count), because of what is
    /// mapped here and there. Then calls may soon fail with ENOMEM: hide what `fragmenting_runs` names.
    [[nodiscard]] virtual bool short_of_mappings() const FAULTLINE_SIGNAL_SAFE { return false; }
    /// The same a little earlier: whoever has the time does well to begin.
    [[nodiscard]] virtual bool low_on_mappings() const FAULTLINE_SIGNAL_SAFE { return false; }

    /// Names short runs of mapped pages whose hiding gives mappings back, shortest first, as many as `runs` holds;
    /// asking again goes on from there. Returns how many.
    [[nodiscard]] virtual std::size_t fragmenting_runs(std::span<iovec>) FAULTLINE_SIGNAL_SAFE { return 0; }

    // ---- shared regions: a page of one is shown in all views of it, and hidden in all, by the calls above, which name
    // it by its address in the region. What is made writable, is so where the view's access allows it. Frames stay
    // (StagedFrames::stay), and so does what the program drops of a view.

    /// Whether there can be such regions here; asked before the first. Throws std::system_error (EMFILE).
    [[nodiscard]] virtual bool prepare_views() { return false; }

    /// Instead of watch_region, and of watch_again in a child of fork. Throws std::system_error.
    virtual void watch_shared(void* address, std::size_t bytes) { watch_region(address, bytes); }
    virtual void watch_shared_again(void* address, std::size_t bytes) { watch_again(address, bytes); }

    /// Lays a view over a range of a region, in which nothing is mapped and where no access succeeds, then or after;
    /// and takes it away again. Returns 0 or an errno: then all is as before.
    [[nodiscard]] virtual int map_view(void*, std::size_t, const void*) noexcept { return EOPNOTSUPP; }
    [[nodiscard]] virtual int unmap_view(void*, std::size_t) noexcept { return EOPNOTSUPP; }

protected:
    /// The views of all shared regions; null: none. The caller is a reader, as for ViewRegistry::views.
    [[nodiscard]] const SharedViews* views() const FAULTLINE_SIGNAL_SAFE {
        return views_ == nullptr ? nullptr : views_->views();
    }
    /// The views if `page` is one of a shared region, else null.
    [[nodiscard]] const SharedViews* views_of(const void* page) const FAULTLINE_SIGNAL_SAFE {
        const SharedViews* const all = views();
        return all != nullptr && all->is_shared(core::address_of(page)) ? all : nullptr;
    }

private:
    const ViewRegistry* views_;
};

}  // namespace faultline::mmu
