#include "mmu/uffd_mapper.hpp"

#include "core/check.hpp"
#include "core/units.hpp"
#include "core/zero_unit.hpp"
#include "sys/error.hpp"
#include "sys/kernel_abi.hpp"
#include "sys/mapping.hpp"
#include "sys/syscall.hpp"
#include "sys/transient.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>
#include <string>

namespace faultline::mmu {
namespace {

constexpr std::size_t kMostRangesPerCall = 64;

void drop_one(const iovec& range) FAULTLINE_SIGNAL_SAFE { sys::drop_pages(range.iov_base, range.iov_len); }

}  // namespace

UffdMapper::UffdMapper(sys::Userfaultfd& uffd, Eviction wanted, const ViewRegistry* views)
    : Mapper{views}, uffd_{uffd}, shared_{uffd} {
    if (wanted == Eviction::protect || wanted == Eviction::guard) {
        sys::throw_error(EINVAL, std::string("Eviction::") + to_string(wanted) +
                                     " needs Delivery::sigsegv; userfaultfd supports move and copy");
    }
    moves_ = wanted != Eviction::copy && move_works();
    if (wanted == Eviction::move && !moves_) {
        sys::throw_error(EOPNOTSUPP,
                         "this kernel does not move pages (UFFDIO_MOVE, Linux 6.8); use Eviction::automatic or copy");
    }
    poisons_ = poison_works();
    try_batched_drop();
}

void UffdMapper::watch_region(void* address, std::size_t bytes) { uffd_.watch(address, bytes, true); }

void UffdMapper::start_in_child() {
    try_batched_drop();
    shared_.start_in_child();
}

void UffdMapper::empty_region(void* address, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    if (views_of(address) != nullptr) return shared_.empty(address, bytes);
    drop_one({address, bytes});
}

void UffdMapper::watch_staging(void* address, std::size_t bytes) {
    uffd_.watch(address, bytes, false);
    staging_begin_ = core::address_of(address);
    staging_bytes_ = bytes;
}

/// Tests UFFDIO_MOVE on one page. The feature bit only says that the ioctl exists, not that it works for our kind of
/// memory.
bool UffdMapper::move_works() {
    if (!uffd_.has(sys::abi::kFeatureMove)) return false;
    const sys::Mapping trial = sys::Mapping::reserve(2 * core::kUnitBytes, core::kUnitBytes, false, "a trial page");
    uffd_.watch(trial.data(), trial.size(), true);
    std::byte* const second = trial.data() + core::kUnitBytes;
    std::size_t moved = 0;
    return uffd_.copy(trial.data(), core::kZeroUnit, core::kUnitBytes, false) == 0 &&
           uffd_.move(second, trial.data(), core::kUnitBytes, &moved) == 0 && second[0] == std::byte{0};
}

/// Tests UFFDIO_POISON: poisoning a poisoned page again must fail with EEXIST. An access is no test, because it would
/// wait if there were no poison.
bool UffdMapper::poison_works() {
    if (!uffd_.has(sys::abi::kFeaturePoison)) return false;
    const sys::Mapping trial = sys::Mapping::reserve(core::kUnitBytes, core::kUnitBytes, false, "a trial page");
    uffd_.watch(trial.data(), trial.size(), true);
    return uffd_.poison(trial.data(), trial.size()) == 0 && uffd_.poison(trial.data(), trial.size()) == EEXIST;
}

/// Tests whether one call can drop scattered pages of this process (Linux 6.13; earlier kernels return EINVAL).
void UffdMapper::try_batched_drop() {
    self_ = sys::FileDescriptor{static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0))};
    if (!self_) return;
    const sys::Mapping trial = sys::Mapping::reserve(core::kUnitBytes, core::kUnitBytes, false, "a trial page");
    const iovec range{trial.data(), trial.size()};
    const long result =
        sys::raw_syscall(SYS_process_madvise, self_.get(), sys::syscall_argument(&range), 1, MADV_DONTNEED, 0);
    if (result != static_cast<long>(trial.size())) self_.reset();
}

int UffdMapper::install(void* page, const void* from, std::size_t bytes, Protection protection) FAULTLINE_SIGNAL_SAFE {
    if (const SharedViews* const views = views_of(page)) {
        return shared_.install(*views, page, from, bytes, protection);
    }
    // If the rest is refused, units that the program may have written to cannot be removed again. So a page of several
    // units stays write-protected until all of it is mapped.
    const bool in_steps = protection == Protection::writable && bytes > core::kUnitBytes;
    const int error = uffd_.copy(page, from, bytes, in_steps || protection != Protection::writable,
                                 in_steps ? sys::Userfaultfd::Wake::later : sys::Userfaultfd::Wake::now);
    FAULTLINE_REQUIRE(error != EEXIST, "a page is mapped that should be absent: has the program mapped over it?");
    if (error != 0 && bytes > core::kUnitBytes) drop_one({page, bytes});
    if (error != 0 || !in_steps) return error;
    const int refused = sys::wait_out("UFFDIO_WRITEPROTECT", [&] { return allow_writes(page, bytes); });
    FAULTLINE_REQUIRE(refused == 0, "a page cannot be made writable: has the program unmapped managed memory?");
    return 0;
}

int UffdMapper::allow_writes(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    if (const SharedViews* const views = views_of(page)) return shared_.protect(*views, page, bytes, false);
    return uffd_.write_protect(page, bytes, false);
}

bool UffdMapper::is_mapped(const void* page, std::size_t bytes) const FAULTLINE_SIGNAL_SAFE {
    if (views_of(page) != nullptr) return false;  // the kernel does not tell this for a view
    return sys::all_present(page, bytes);
}

int UffdMapper::restore(void* page, std::size_t bytes, Protection protection) FAULTLINE_SIGNAL_SAFE {
    if (const SharedViews* const views = views_of(page)) return shared_.show(*views, page, bytes, protection);
    if (const int error = fill_holes(static_cast<std::byte*>(page), bytes)) return error;
    return uffd_.write_protect(page, bytes, protection != Protection::writable);
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

int UffdMapper::forbid_writes(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    if (const SharedViews* const views = views_of(page)) return shared_.protect(*views, page, bytes, true);
    return uffd_.write_protect(page, bytes, true);
}

int UffdMapper::set_access(void* address, std::size_t bytes, Access access) noexcept {
    return sys::set_access(address, bytes, access);
}

/// Splits by MADV_DODUMP: none of our pages needs to be in core dumps, and the kernel moves pages whatever this flag
/// says.
int UffdMapper::part(void* address, std::size_t bytes) noexcept {
    const int error = sys::set_dumped(address, bytes, true);
    if (error != 0) rejoin(address, bytes);
    return error;
}

/// If the kernel refuses, the range stays in mappings of its own, which does no harm.
void UffdMapper::rejoin(void* address, std::size_t bytes) noexcept {
    static_cast<void>(sys::set_dumped(address, bytes, false));
}

/// Linux before 6.13 has no markers (EINVAL), and no kernel puts them into locked memory.
int UffdMapper::set_guard(void* address, std::size_t bytes) noexcept {
    const int error = sys::advise(address, bytes, sys::abi::kAdviseGuardInstall);
    return error == EINVAL ? set_access(address, bytes, Access::none) : error;
}

Staged UffdMapper::stage(void* page, void* slot, std::size_t page_bytes, std::size_t pages,
                         Protection protection) FAULTLINE_SIGNAL_SAFE {
    if (const SharedViews* const views = views_of(page)) {
        shared_.hide(*views, page, page_bytes * pages);
        return {pages, 0};
    }
    auto* const from = static_cast<std::byte*>(page);
    auto* const to = static_cast<std::byte*>(slot);
    if (!moves_) {
        int error = fill_holes(from, page_bytes);
        if (error == 0) error = stage_by_copy(from, to, page_bytes, protection);
        return {error == 0 ? std::size_t{1} : 0, error};
    }
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
        drop_one({page, bytes});
        return 0;
    }
    drop_one({slot, bytes});
    if (protection == Protection::writable) {
        const int undone =
            sys::wait_out("UFFDIO_WRITEPROTECT", [&] { return uffd_.write_protect(page, bytes, false); });
        FAULTLINE_REQUIRE(undone == 0, "cannot make a page writable again (UFFDIO_WRITEPROTECT)");
    }
    return error;
}

const std::byte* UffdMapper::staged_bytes(const void* page, void* slot, std::size_t) FAULTLINE_SIGNAL_SAFE {
    if (views_of(page) != nullptr) return static_cast<const std::byte*>(page);
    return static_cast<const std::byte*>(slot);
}

int UffdMapper::unstage(void* slot, void* page, std::size_t bytes, Protection protection) FAULTLINE_SIGNAL_SAFE {
    if (const SharedViews* const views = views_of(page)) return shared_.show(*views, page, bytes, protection);
    std::size_t moved = 0;
    if (moves_ && uffd_.move(page, slot, bytes, &moved) == 0) return 0;
    // The page's mapping is read-only, or a device holds the slot for a moment after its write.
    const std::scoped_lock turn{copy_turn_};
    auto* const to = static_cast<std::byte*>(page) + moved;
    auto* const from = static_cast<std::byte*>(slot) + moved;
    const int error = install(to, from, bytes - moved, Protection::writable);
    if (error == 0) {
        drop_one({from, bytes - moved});
    } else if (moved > 0) {  // including what the program has written meanwhile
        const int undone = put_back(static_cast<std::byte*>(slot), static_cast<std::byte*>(page), moved);
        FAULTLINE_REQUIRE(undone == 0, "cannot move a part of a page back to the staging area");
    }
    return error;
}

void UffdMapper::drop(std::span<const iovec> ranges) FAULTLINE_SIGNAL_SAFE {
    while (views() != nullptr && !ranges.empty()) {
        std::size_t own = 0;
        while (own < ranges.size() && views_of(ranges[own].iov_base) == nullptr) ++own;
        drop_own(ranges.first(own));
        if (own == ranges.size()) return;
        shared_.drop(*views(), ranges[own].iov_base, ranges[own].iov_len);
        ranges = ranges.subspan(own + 1);
    }
    drop_own(ranges);
}

void UffdMapper::drop_own(std::span<const iovec> ranges) FAULTLINE_SIGNAL_SAFE {
    while (ranges.size() > 1 && self_) {
        const std::size_t count = ranges.size() < kMostRangesPerCall ? ranges.size() : kMostRangesPerCall;
        const long result = sys::raw_syscall(SYS_process_madvise, self_.get(), sys::syscall_argument(ranges.data()),
                                             count, MADV_DONTNEED, 0);
        if (result <= 0) break;
        auto left = static_cast<std::size_t>(result);
        while (!ranges.empty() && left >= ranges.front().iov_len) {
            left -= ranges.front().iov_len;
            ranges = ranges.subspan(1);
        }
        if (left > 0) break;  // stopped inside a range; dropping that range from the start again does no harm
    }
    for (const iovec& range : ranges) drop_one(range);
}

int UffdMapper::poison(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    if (const SharedViews* const views = views_of(page)) return shared_.poison(*views, page, bytes);
    return uffd_.poison(page, bytes);
}

void UffdMapper::wake(void* page, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    if (const SharedViews* const views = views_of(page)) return shared_.wake(*views, page, bytes);
    uffd_.wake(page, bytes);
}

}  // namespace faultline::mmu
