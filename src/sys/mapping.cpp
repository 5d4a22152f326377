#include "sys/mapping.hpp"

#include "core/check.hpp"
#include "core/units.hpp"
#include "sys/address_limits.hpp"
#include "sys/error.hpp"
#include "sys/kernel_abi.hpp"
#include "sys/mapping_limit.hpp"
#include "sys/own_place.hpp"
#include "sys/syscall.hpp"
#include "sys/transient.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <system_error>

namespace faultline::sys {
namespace {

// For calls whose ENOMEM may also be permanent: a hole in the range, or too many mappings.
constexpr std::chrono::nanoseconds kShortPatience = std::chrono::milliseconds{100};

constexpr int kFixedNoReplace = 0x100000;  // MAP_FIXED_NOREPLACE, Linux 4.17; older kernels take the address as a hint

void advise_or_throw(void* address, std::size_t bytes, int advice, const char* purpose) {
    // A kernel built without huge pages or page merging returns EINVAL: then there is nothing to forbid.
    const bool may_be_unknown = advice == MADV_NOHUGEPAGE || advice == MADV_UNMERGEABLE;
    const int refusal = error_of(raw_syscall(SYS_madvise, syscall_argument(address), bytes, advice));
    if (refusal != 0 && !(refusal == EINVAL && may_be_unknown)) {
        const int error = refusal == EAGAIN ? ENOMEM : refusal;  // madvise(2) reports too many mappings as EAGAIN
        throw_mapping_error(error, "cannot prepare " + readable_bytes(bytes) + " for " + purpose + " (madvise)");
    }
}

void advise_all(std::span<std::byte> range, bool shared_with_children, const char* purpose) {
    void* const address = range.data();
    const std::size_t bytes = range.size();
    advise_or_throw(address, bytes, MADV_NOHUGEPAGE, purpose);
    advise_or_throw(address, bytes, MADV_UNMERGEABLE, purpose);
    advise_or_throw(address, bytes, MADV_DONTDUMP, purpose);
    if (!shared_with_children) advise_or_throw(address, bytes, MADV_DONTFORK, purpose);
}

/// For each 4 KiB of up to 2 MiB: bit 0 says whether the kernel has a page there.
using PresentUnits = std::array<unsigned char, kLargestPageBytes / core::kUnitBytes>;

/// mincore(2) of at most 2 MiB. Returns 0 or an errno.
int find_present(const void* address, std::size_t bytes, PresentUnits& present) FAULTLINE_SIGNAL_SAFE {
    FAULTLINE_INVARIANT(bytes <= kLargestPageBytes);
    const auto call = [&] {
        return error_of(raw_syscall(SYS_mincore, syscall_argument(address), bytes, syscall_argument(present.data())));
    };
    return wait_out("mincore", call, OutOfMemory::report);
}

/// Returns true if mincore(2) reports `wanted` for each 4 KiB of a range. Returns false if the call fails.
bool all_units(const void* address, std::size_t bytes, bool wanted) FAULTLINE_SIGNAL_SAFE {
    PresentUnits present;
    return find_present(address, bytes, present) == 0 &&
           std::all_of(present.begin(), present.begin() + static_cast<std::ptrdiff_t>(bytes / core::kUnitBytes),
                       [wanted](unsigned char unit) { return ((unit & 1U) != 0) == wanted; });
}

int protection_bits(Access access) FAULTLINE_SIGNAL_SAFE {
    int protection = PROT_NONE;
    if (access != Access::none) protection |= PROT_READ;
    if (access == Access::read_write) protection |= PROT_WRITE;
    if (access == Access::read_execute) protection |= PROT_EXEC;
    return protection;
}

}  // namespace

namespace {

[[noreturn]] void refuse_to_reserve(int error, std::size_t bytes, const char* purpose) {
    throw_error(error, std::string("cannot reserve ") + readable_bytes(bytes) + " of addresses for " + purpose + "; " +
                           explain_address_limits());
}

// The program's mlockall may fill smaller mappings: that costs less than a fence for each.
constexpr std::size_t kWorthAFence = std::size_t{1} << 20;

constexpr int kReserved = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

}  // namespace

Mapping Mapping::map_closed(std::size_t bytes, std::size_t alignment, Where where, const char* purpose) {
    const std::size_t fence_bytes = bytes >= kWorthAFence ? core::kUnitBytes : 0;
    const std::size_t padded = bytes + (alignment > core::kUnitBytes ? alignment : fence_bytes);
    if (bytes == 0 || padded < bytes || padded > core::kUserAddressEnd) refuse_to_reserve(ENOMEM, bytes, purpose);
    void* raw = MAP_FAILED;
    if (where != Where::anywhere) {
        const bool shared = where == Where::own_place;
        raw = OwnPlace::take(core::align_up(padded, core::kUnitBytes), core::kUnitBytes,
                             shared ? OwnPlace::InChild::kept : OwnPlace::InChild::free);
        if (raw == nullptr) raw = MAP_FAILED;
    }
    if (raw == MAP_FAILED) raw = ::mmap(nullptr, padded, PROT_NONE, kReserved, -1, 0);
    if (raw == MAP_FAILED) refuse_to_reserve(errno, bytes, purpose);

    // Trim to the alignment, so that exactly the requested mapping and its fence are left.
    auto* const first = static_cast<std::byte*>(raw);
    const std::uintptr_t wanted = core::align_up(core::address_of(first) + fence_bytes, alignment);
    Mapping mapping{first + (wanted - core::address_of(first)), bytes};
    mapping.fence_bytes_ = fence_bytes;
    const std::span<std::byte> kept = mapping.with_fence();
    const auto before = static_cast<std::size_t>(kept.data() - first);
    const std::size_t after = padded - before - kept.size();
    if (before > 0) static_cast<void>(unmap(first, before));
    if (after > 0) static_cast<void>(unmap(kept.data() + kept.size(), after));
    unlock_pages(kept.data(), kept.size());
    return mapping;
}

/// Makes the fence and the first `bytes` of the range behind it accessible, but for the fence's guard: a fence with
/// another access than the range would be a mapping of its own and stop nothing. Without guard markers in the kernel
/// there is no fence, and this returns false.
bool Mapping::put_fence(std::size_t bytes) noexcept {
    const std::span<std::byte> page = fence();
    if (page.empty()) return false;
    if (sys::advise(page.data(), page.size(), abi::kAdviseGuardInstall) == 0 &&
        set_access(page.data(), page.size() + bytes, Access::read_write) == 0) {
        return true;
    }
    drop_fence();
    return false;
}

void Mapping::drop_fence() noexcept {
    if (fence_bytes_ != 0 && unmap(fence().data(), fence().size()) == 0) fence_bytes_ = 0;
}

void Mapping::open(const char* purpose) const {
    if (const int error = set_access(address_, bytes_, Access::read_write)) refuse_to_reserve(error, bytes_, purpose);
}

Mapping Mapping::reserve(std::size_t bytes, std::size_t alignment, bool shared_with_children, const char* purpose) {
    const Where where = shared_with_children ? Where::own_place : Where::own_place_of_process;
    return reserve_somewhere(bytes, alignment, where, shared_with_children, purpose);
}

Mapping Mapping::reserve_for_region(std::size_t bytes, std::size_t alignment, const char* purpose) {
    return reserve_somewhere(bytes, alignment, Where::anywhere, false, purpose);
}

Mapping Mapping::reserve_somewhere(std::size_t bytes, std::size_t alignment, Where where, bool shared_with_children,
                                   const char* purpose) {
    Mapping mapping = map_closed(bytes, alignment, where, purpose);
    if (!mapping.put_fence(bytes)) mapping.open(purpose);
    advise_all(mapping.with_fence(), shared_with_children, purpose);
    return mapping;
}

Mapping Mapping::reserve_closed(std::size_t bytes, std::size_t alignment, const char* purpose) {
    Mapping mapping = map_closed(bytes, alignment, Where::anywhere, purpose);
    static_cast<void>(mapping.put_fence(0));
    advise_all(mapping.with_fence(), false, purpose);
    return mapping;
}

Mapping Mapping::reserve_at(std::uintptr_t address, std::size_t bytes, const char* purpose) {
    void* const wanted = reinterpret_cast<void*>(address);  // NOLINT: an address is a number here
    // The address is a hint, which the kernel follows if the range is free. ThreadSanitizer does not know
    // MAP_FIXED_NOREPLACE: it would ignore the address and accept a place that it cannot track.
    void* const raw = ::mmap(wanted, bytes, PROT_NONE, kReserved, -1, 0);
    if (raw == wanted) {
        Mapping mapping{static_cast<std::byte*>(raw), bytes};
        unlock_pages(raw, bytes);
        mapping.open(purpose);
        advise_all(mapping.bytes(), false, purpose);
        return mapping;
    }
    const int error = raw == MAP_FAILED ? errno : EEXIST;
    if (raw != MAP_FAILED) ::munmap(raw, bytes);
    char place[32];
    std::snprintf(place, sizeof place, "0x%lx", static_cast<unsigned long>(address));
    throw_error(error, std::string("cannot reserve ") + readable_bytes(bytes) + " at " + place + " for " + purpose +
                           (error == EEXIST ? ": something is mapped there" : ""));
}

void Mapping::wipe_in_children() const {
    const std::span<std::byte> range = with_fence();
    advise_or_throw(range.data(), range.size(), MADV_WIPEONFORK, "memory that is zeros in children of fork");
}

int Mapping::set_part_access(std::size_t offset, std::size_t bytes, Access access) const FAULTLINE_SIGNAL_SAFE {
    FAULTLINE_INVARIANT(offset + bytes <= bytes_);
    const auto call = [&] {
        return error_of(raw_syscall(SYS_mprotect, syscall_argument(address_ + offset), bytes, protection_bits(access)));
    };
    return wait_out("mprotect", call, OutOfMemory::wait, kShortPatience);
}

bool Mapping::discard_part(std::size_t offset, std::size_t bytes) const FAULTLINE_SIGNAL_SAFE {
    FAULTLINE_INVARIANT(offset + bytes <= bytes_);
    const std::uint64_t address = syscall_argument(address_ + offset);
    // Memory that the program's mlockall has locked needs the other advice (Linux 5.18).
    return raw_syscall(SYS_madvise, address, bytes, MADV_DONTNEED) == 0 ||
           raw_syscall(SYS_madvise, address, bytes, abi::kAdviseDontneedLocked) == 0;
}

void Mapping::close_in_child() noexcept {
    const std::span<std::byte> range = with_fence();
    void* const raw = ::mmap(range.data(), range.size(), PROT_NONE, kReserved | kFixedNoReplace, -1, 0);
    closed_in_child_ = raw == range.data();
    if (raw != MAP_FAILED && !closed_in_child_) ::munmap(raw, range.size());
}

void Mapping::restore_in_child(Access access) {
    FAULTLINE_REQUIRE(!OwnPlace::overlaps({core::address_of(address_), core::address_of(address_) + bytes_}),
                      "a child of fork maps memory again that its own place has taken back");
    if (!closed_in_child_) close_in_child();
    if (closed_in_child_) unlock_pages(with_fence().data(), with_fence().size());
    const int error = closed_in_child_ ? set_access(address_, bytes_, access) : EEXIST;
    if (error != 0) {
        throw_error(error,
                    "cannot map " + readable_bytes(bytes_) + " in a child of fork at the addresses of its parent");
    }
    closed_in_child_ = false;
    static_cast<void>(put_fence(0));
    advise_all(with_fence(), false, "a child of fork");
}

int Mapping::copy_to_children(bool on) const noexcept {
    const std::span<std::byte> range = with_fence();
    return sys::copy_to_children(range.data(), range.size(), on);
}

int copy_to_children(void* address, std::size_t bytes, bool on) noexcept {
    return advise(address, bytes, on ? MADV_DOFORK : MADV_DONTFORK);
}

int map_closed_zeros(void* address, std::size_t bytes) noexcept {
    const long result =
        raw_syscall(SYS_mmap, syscall_argument(address), bytes, PROT_NONE, kReserved | MAP_FIXED, -1, 0);
    if (const int error = error_of(result)) return error;
    try {
        unlock_pages(address, bytes);
        advise_all({static_cast<std::byte*>(address), bytes}, false, "a mapping");
    } catch (const std::system_error& error) {
        return error.code().value();
    }
    return 0;
}

std::byte* map_zeros(std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    bytes = core::align_up(bytes, core::kUnitBytes);
    std::byte* own = OwnPlace::take(bytes, core::kUnitBytes, OwnPlace::InChild::kept);
    if (own == nullptr) {
        const long mapped = raw_syscall(SYS_mmap, 0, bytes, PROT_NONE, kReserved, -1, 0);
        if (error_of(mapped) != 0) return nullptr;
        own = reinterpret_cast<std::byte*>(mapped);
    }
    // A huge page would take 2 MiB even for a few bytes. A kernel without huge pages refuses the advice.
    raw_syscall(SYS_madvise, syscall_argument(own), bytes, MADV_NOHUGEPAGE);
    if (raw_syscall(SYS_mprotect, syscall_argument(own), bytes, PROT_READ | PROT_WRITE) == 0) return own;
    static_cast<void>(unmap(own, bytes));
    return nullptr;
}

int unmap(void* address, std::size_t bytes) noexcept {
    if (OwnPlace::give_back(address, bytes)) return 0;
    return error_of(raw_syscall(SYS_munmap, syscall_argument(address), bytes));
}

bool close_if_free(void* address, std::size_t bytes) noexcept {
    void* const raw = ::mmap(address, bytes, PROT_NONE, kReserved | kFixedNoReplace, -1, 0);
    if (raw != MAP_FAILED && raw != address) ::munmap(raw, bytes);
    return raw == address;
}

int set_access(void* address, std::size_t bytes, Access access) noexcept {
    // Not the C library's function, which the preload interposes: it would answer a thread that is not inside the
    // library.
    return error_of(raw_syscall(SYS_mprotect, syscall_argument(address), bytes, protection_bits(access)));
}

int set_dumped(void* address, std::size_t bytes, bool dumped) noexcept {
    if (::madvise(address, bytes, dumped ? MADV_DODUMP : MADV_DONTDUMP) == 0) return 0;
    return errno == EAGAIN ? ENOMEM : errno;  // madvise(2) reports too many mappings as EAGAIN
}

int advise(void* address, std::size_t bytes, int advice) FAULTLINE_SIGNAL_SAFE {
    // ENOMEM is returned at once: it means a hole in the range or too many mappings, and the caller tells them apart.
    const auto call = [&] { return error_of(raw_syscall(SYS_madvise, syscall_argument(address), bytes, advice)); };
    return wait_out("madvise", call, OutOfMemory::report);
}

void unlock_pages(void* address, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    const std::uint64_t begin = syscall_argument(address);
    // Only locked memory refuses this. munlock is the second choice because a seccomp filter of the program may forbid
    // it.
    if (raw_syscall(SYS_madvise, begin, bytes, MADV_DONTNEED) == -EINVAL) raw_syscall(SYS_munlock, begin, bytes);
}

void drop_pages(void* address, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    const std::uint64_t begin = syscall_argument(address);
    const auto call = [&] {
        const int error = error_of(raw_syscall(SYS_madvise, begin, bytes, MADV_DONTNEED));
        // The program may have locked the range (mlockall): then only the newer advice drops it.
        return error == EINVAL ? error_of(raw_syscall(SYS_madvise, begin, bytes, abi::kAdviseDontneedLocked)) : error;
    };
    const int error = wait_out("madvise(MADV_DONTNEED)", call, OutOfMemory::wait, kShortPatience);
    FAULTLINE_REQUIRE(error == 0, "a page cannot be dropped: has the program unmapped or remapped managed memory?");
}

bool all_present(const void* address, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    return all_units(address, bytes, true);
}

bool all_absent(const void* address, std::size_t bytes) FAULTLINE_SIGNAL_SAFE {
    return all_units(address, bytes, false);
}

std::size_t physical_memory() noexcept {
    const long pages = ::sysconf(_SC_PHYS_PAGES);
    return pages > 0 ? static_cast<std::size_t>(pages) * core::kUnitBytes : 0;
}

void Mapping::reset() noexcept {
    if (address_ == nullptr) return;
    if (borrowed_) return abandon();
    if (const int error = unmap(with_fence().data(), with_fence().size())) {
        // The kernel may have merged this mapping with its neighbours, and a process at its limit of mappings cannot
        // split it. The memory is returned anyway; the addresses stay reserved.
        if (error != ENOMEM) core::fatal("munmap of faultline's own mapping failed", __FILE__, __LINE__);
        static_cast<void>(discard_part(0, bytes_));
    }
    abandon();
}

}  // namespace faultline::sys
