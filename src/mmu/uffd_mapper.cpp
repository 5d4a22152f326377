#include "mmu/uffd_mapper.hpp"

#include "core/check.hpp"
#include "core/units.hpp"
#include "core/zero_unit.hpp"
#include "sys/kernel_abi.hpp"
#include "sys/mapping.hpp"
#include "sys/syscall.hpp"
#include "sys/transient.hpp"

#include <sys/mman.h>

#include <cerrno>
#include <mutex>
#include <system_error>

namespace faultline::mmu {
void UffdMapper::watch_region(void* address, std::size_t bytes) { uffd_.watch(address, bytes, true); }

void UffdMapper::empty_region(void* address, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    sys::drop_pages(address, bytes);
}

/// Opens the range last: an access before it is watched would get a page that the pager does not know.
int UffdMapper::map_part(void* address, std::size_t bytes) noexcept {
    if (const int error = sys::map_closed_zeros(address, bytes)) return error;
    try {
        uffd_.watch(address, bytes, true);
    } catch (const std::system_error& error) {
        return error.code().value();
    }
    return sys::set_access(address, bytes, Access::read_write);
}

int UffdMapper::install(void* page, const void* from, std::size_t bytes, Protection protection) FAULTLINE_SIGNAL_SAFE {
    // If the rest is refused, units that the program may have written to cannot be removed again. So a page of several
    // units stays write-protected until all of it is mapped.
    const bool in_steps = protection == Protection::writable && bytes > core::kUnitBytes;
    const int error = uffd_.copy(page, from, bytes, in_steps || protection != Protection::writable,
                                 in_steps ? sys::Userfaultfd::Wake::later : sys::Userfaultfd::Wake::now);
    FAULTLINE_REQUIRE(error != EEXIST, "a page is mapped that should be absent: has the program mapped over it?");
    if (error != 0 && bytes > core::kUnitBytes) sys::drop_pages(page, bytes);
    if (error != 0 || !in_steps) return error;
    const int refused = sys::wait_out("UFFDIO_WRITEPROTECT", [&] { return make_writable(page, bytes); });
    FAULTLINE_REQUIRE(refused == 0, "a page cannot be made writable: has the program unmapped managed memory?");
    return 0;
}

int UffdMapper::make_writable(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    return uffd_.write_protect(page, bytes, false);
}

bool UffdMapper::is_mapped(const void* page, std::size_t bytes) const FAULTLINE_SIGNAL_SAFE {
    return sys::all_present(page, bytes);
}

/// The kernel checks the access: a dirty page is writable whatever `access` says.
int UffdMapper::restore(void* page, std::size_t bytes, Access, bool dirty) FAULTLINE_SIGNAL_SAFE {
    if (const int error = fill_holes(static_cast<std::byte*>(page), bytes)) return error;
    return uffd_.write_protect(page, bytes, !dirty);
}

/// Maps zeros where the program has dropped parts of a mapped page (madvise): zeros are what it asked for.
int UffdMapper::fill_holes(std::byte* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    if (sys::all_present(page, bytes)) return 0;
    for (std::size_t offset = 0; offset < bytes; offset += core::kUnitBytes) {
        const int error = uffd_.copy(page + offset, core::kZeroUnit, core::kUnitBytes, false);
        if (error != 0 && error != EEXIST) return error;
    }
    return 0;
}

int UffdMapper::write_protect(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    return uffd_.write_protect(page, bytes, true);
}

int UffdMapper::set_access(void* address, std::size_t bytes, Access access) noexcept {
    return sys::set_access(address, bytes, access);
}

/// Splits by MADV_DODUMP: none of our pages needs to be in core dumps, and the kernel moves pages whatever this flag
/// says.
int UffdMapper::split(void* address, std::size_t bytes) noexcept {
    const int error = sys::set_dumped(address, bytes, true);
    if (error != 0) merge(address, bytes);
    return error;
}

/// If the kernel refuses, the range stays in mappings of its own, which does no harm.
void UffdMapper::merge(void* address, std::size_t bytes) noexcept {
    static_cast<void>(sys::set_dumped(address, bytes, false));
}

/// Linux before 6.13 has no markers (EINVAL), and no kernel puts them into locked memory.
int UffdMapper::set_guard(void* address, std::size_t bytes) noexcept {
    const int error = sys::advise(address, bytes, sys::abi::kAdviseGuardInstall);
    return error == EINVAL ? set_access(address, bytes, Access::none) : error;
}

Staged UffdMapper::stage(void* page, void* slot, std::size_t page_bytes, std::size_t pages,
                         Protection protection) FAULTLINE_SIGNAL_SAFE {
    auto* const from = static_cast<std::byte*>(page);
    auto* const to = static_cast<std::byte*>(slot);
    if (!moves_) return stage_one_by_one(from, to, page_bytes, pages, protection);
    std::size_t moved = 0;
    int error = uffd_.move(to, from, page_bytes * pages, &moved);
    if (error == 0) return {pages, 0};
    // The kernel refuses one page of the run: try other ways to evict it.
    const std::size_t whole = moved / page_bytes;
    if (protection != Protection::writable) return {whole, error};
    const std::size_t offset = whole * page_bytes;
    error = stage_by_move(from + offset, to + offset, page_bytes, moved - offset);
    return {whole + (error == 0 ? 1 : 0), error};
}

Staged UffdMapper::stage_one_by_one(std::byte* page, std::byte* slot, std::size_t page_bytes, std::size_t pages,
                                    Protection protection) FAULTLINE_SIGNAL_SAFE {
    for (std::size_t i = 0; i < pages; ++i) {
        const std::size_t offset = i * page_bytes;
        int error = fill_holes(page + offset, page_bytes);
        if (error == 0) error = stage_by_copy(page + offset, slot + offset, page_bytes, protection);
        if (error != 0) return {i, error};
    }
    return {pages, 0};
}

/// Stages one writable page whose first `already` bytes have moved and whose next bytes were refused.
int UffdMapper::stage_by_move(std::byte* page, std::byte* slot, std::size_t bytes,
                              std::size_t already) FAULTLINE_SIGNAL_SAFE {
    if (const int error = fill_holes(page + already, bytes - already)) return error;
    // A child of fork may share the page: a write makes the page ours alone again. The write cannot raise a fault for
    // us, because the page is present and writable.
    static_cast<void>(sys::raw_syscall(SYS_madvise, sys::syscall_argument(page + already), bytes - already,
                                       sys::abi::kAdvisePopulateWrite));
    std::size_t moved = 0;
    int error = uffd_.move(slot + already, page + already, bytes - already, &moved);
    already += moved;
    // The mapping may be read-only or locked: copy. On EBUSY the kernel holds the page and a device may write to it; a
    // copy would lose those bytes.
    if (error == EINVAL) error = stage_by_copy(page + already, slot + already, bytes - already, Protection::writable);
    if (error != 0 && already > 0) {
        const int undone = put_back(page, slot, already);
        FAULTLINE_REQUIRE(undone == 0, "cannot move a part of a page out of the staging area");
    }
    return error;
}

/// Moves a whole range back to where it came from, in as many steps as the kernel needs. Returns 0 or an errno.
int UffdMapper::put_back(std::byte* page, std::byte* slot, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    std::size_t total = 0;
    return sys::wait_out("UFFDIO_MOVE", [&] {
        std::size_t moved = 0;
        const int error = uffd_.move(page + total, slot + total, bytes - total, &moved);
        total += moved;
        return error;
    });
}

int UffdMapper::stage_by_copy(std::byte* page, std::byte* slot, std::size_t bytes,
                              Protection protection) FAULTLINE_SIGNAL_SAFE {
    const std::scoped_lock turn{copy_turn_};
    // Write-protect first: a write between the copy and the drop would be lost.
    int error = protection == Protection::writable ? uffd_.write_protect(page, bytes, true) : 0;
    if (error != 0) return error;
    error = uffd_.copy(slot, page, bytes, false);  // the kernel reads the page: this raises no fault, at worst EFAULT
    if (error == 0) {
        sys::drop_pages(page, bytes);
        return 0;
    }
    sys::drop_pages(slot, bytes);
    if (protection == Protection::writable) {
        const int undone =
            sys::wait_out("UFFDIO_WRITEPROTECT", [&] { return uffd_.write_protect(page, bytes, false); });
        FAULTLINE_REQUIRE(undone == 0, "cannot make a page writable again (UFFDIO_WRITEPROTECT)");
    }
    return error;
}

int UffdMapper::unstage(void* slot, void* page, std::size_t bytes, Access, bool) FAULTLINE_SIGNAL_SAFE {
    std::size_t moved = 0;
    if (moves_ && uffd_.move(page, slot, bytes, &moved) == 0) return 0;
    // The page's mapping is read-only, or a device holds the slot for a moment after its write.
    const std::scoped_lock turn{copy_turn_};
    auto* const to = static_cast<std::byte*>(page) + moved;
    auto* const from = static_cast<std::byte*>(slot) + moved;
    const int error = install(to, from, bytes - moved, Protection::writable);
    if (error == 0) {
        sys::drop_pages(from, bytes - moved);
    } else if (moved > 0) {  // including what the program has written meanwhile
        const int undone = put_back(static_cast<std::byte*>(slot), static_cast<std::byte*>(page), moved);
        FAULTLINE_REQUIRE(undone == 0, "cannot move a part of a page back to the staging area");
    }
    return error;
}

int UffdMapper::poison(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE { return uffd_.poison(page, bytes); }

std::optional<core::FaultOutcome> UffdMapper::answer_forbidden(core::FaultAccess access,
                                                               Access allowed) const FAULTLINE_SIGNAL_SAFE {
    return leave_to_kernel(access, allowed);
}

/// The kernel raises a fault for an absent page before it refuses to execute it. Any other forbidden access means that
/// a change of protection is under way: the kernel refuses the access when it is repeated.
std::optional<core::FaultOutcome> leave_to_kernel(core::FaultAccess access, Access allowed) FAULTLINE_SIGNAL_SAFE {
    if (access == core::FaultAccess::execute && allowed != Access::none) return std::nullopt;
    return core::FaultOutcome::already_resolved;
}

void UffdMapper::wake(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE { uffd_.wake(page, bytes); }

}  // namespace faultline::mmu
