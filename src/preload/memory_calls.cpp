#include "preload/memory_calls.hpp"

#include "core/address_range.hpp"
#include "core/units.hpp"
#include "preload/heap_memory.hpp"
#include "preload/managed_heap.hpp"
#include "sys/syscall.hpp"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/uio.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <string_view>

namespace faultline::preload {
namespace {

using core::AddressRange;
using sys::raw_syscall;

// Missing in the distribution's headers.
constexpr long kMseal = 462;
constexpr int kFixedNoReplace = 0x100000;
constexpr int kSetMemoryMerge = 67;  // PR_SET_MEMORY_MERGE, Linux 6.4

AddressRange heap_bytes() noexcept {
    const heap::Heap* const heap = ManagedHeap::get();
    return heap == nullptr ? AddressRange{} : AddressRange{heap->region().begin(), heap->region().end()};
}

/// Returns the range in whole units, as the kernel takes it. Empty if the kernel refuses it or has nothing to do.
AddressRange whole_units(std::uint64_t address, std::uint64_t bytes) noexcept {
    const std::uint64_t rounded = core::align_up(bytes, core::kUnitBytes);
    if (address % core::kUnitBytes != 0 || rounded < bytes || address + rounded < address) return {};
    return {address, address + rounded};
}

bool in_heap(std::uint64_t address, std::uint64_t bytes) noexcept {
    return whole_units(core::align_down(address, core::kUnitBytes), bytes + address % core::kUnitBytes)
        .overlaps(heap_bytes());
}

core::PageRange pages_of(AddressRange range) noexcept {
    const pager::Region& region = ManagedHeap::get()->region();
    return {region.page_of(range.begin), range.bytes() / core::kUnitBytes};
}

/// Makes the same call on `part` of its range, which is not managed. Does nothing if `part` is empty.
long on_part(const Call& call, AddressRange part) noexcept {
    if (part.empty()) return 0;
    const auto& a = call.arguments;
    return raw_syscall(call.number, part.begin, part.bytes(), a[2], a[3], a[4], a[5]);
}

/// Makes a call on a range whose parts are independent: `act` handles the managed part.
template <typename Act>
std::optional<long> in_parts(const Call& call, AddressRange range, Act act) noexcept {
    const AddressRange managed = range.part_in(heap_bytes());
    if (managed.empty()) return std::nullopt;
    if (const long error = on_part(call, {range.begin, managed.begin})) return error;
    if (const long error = act(pages_of(managed))) return error;
    return on_part(call, {managed.end, range.end});
}

/// Maps zeros over whole managed pages. No other mapping can lie in the heap.
std::optional<long> map(const Call& call) noexcept {
    const auto& a = call.arguments;
    const std::uint64_t flags = a[3];
    if ((flags & MAP_FIXED) == 0 || (flags & kFixedNoReplace) != 0) return std::nullopt;
    const AddressRange range = whole_units(a[0], a[1]);
    const AddressRange managed = range.part_in(heap_bytes());
    if (managed.empty()) return std::nullopt;
    constexpr std::uint64_t kKnown =
        MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK | MAP_POPULATE | MAP_NONBLOCK;
    constexpr std::uint64_t kZeros = MAP_PRIVATE | MAP_ANONYMOUS;
    if ((flags & kZeros) != kZeros || (flags & ~kKnown) != 0 || managed.bytes() != range.bytes()) return -EINVAL;
    const long error = HeapMemory::replace(pages_of(managed), a[2]);
    return error != 0 ? error : static_cast<long>(a[0]);
}

/// Keeps managed memory in place, and refuses to move other memory there.
std::optional<long> remap(const Call& call) noexcept {
    const auto& [old_address, old_bytes, new_bytes, flags, new_address, unused] = call.arguments;
    const bool fixed = (flags & MREMAP_FIXED) != 0;
    const bool from_heap = in_heap(old_address, std::max<std::uint64_t>(old_bytes, 1));
    const bool to_heap = fixed && in_heap(new_address, new_bytes);
    if (!from_heap && !to_heap) return std::nullopt;
    const AddressRange before = whole_units(old_address, old_bytes);
    if (to_heap || flags != (flags & MREMAP_MAYMOVE) || before.empty()) return -EINVAL;
    const bool as_it_is = before.bytes() == core::align_up(new_bytes, core::kUnitBytes);
    return as_it_is ? static_cast<long>(old_address) : -EINVAL;
}

std::optional<long> refuse_in_heap(std::uint64_t address, std::uint64_t bytes) noexcept {
    return in_heap(address, bytes) ? std::optional<long>{-EINVAL} : std::nullopt;
}

std::optional<long> refuse_any_in_heap(std::uint64_t buffers, std::uint64_t count) noexcept {
    for (std::uint64_t i = 0; buffers != 0 && i < std::min<std::uint64_t>(count, IOV_MAX); ++i) {
        const iovec& buffer = reinterpret_cast<const iovec*>(buffers)[i];
        if (in_heap(core::address_of(buffer.iov_base), buffer.iov_len)) return -EINVAL;
    }
    return std::nullopt;
}

void say_once(std::atomic<bool>& said, std::string_view line) noexcept {
    if (said.exchange(true)) return;
    raw_syscall(SYS_write, 2, sys::syscall_argument(line.data()), line.size());
}

constinit std::atomic<bool> said_of_mlockall{false};

/// Refuses to lock all memory, because the limit is smaller than the heap.
std::optional<long> lock_everything(std::uint64_t flags) noexcept {
    constexpr std::uint64_t kKnown = MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT;
    if (heap_bytes().empty() || flags == 0 || (flags & ~kKnown) != 0 || flags == MCL_ONFAULT) return std::nullopt;
    say_once(
        said_of_mlockall,
        "faultline: mlockall fails with ENOMEM: the program's resident memory is limited, and pages beyond the limit "
        "are swapped out; mlock works for memory that must stay resident, up to the limit\n");
    return -ENOMEM;
}

std::optional<long> unlock_everything() noexcept {
    if (!heap_bytes().empty()) HeapMemory::unlock_all();
    return std::nullopt;
}

/// Makes prctl(PR_SET_MEMORY_MERGE) and then excludes the pager's pages from merging: the kernel would drop the write
/// protection by which the pager notices writes.
std::optional<long> control_process(const Call& call) noexcept {
    const auto& a = call.arguments;
    if (static_cast<int>(a[0]) != kSetMemoryMerge || a[1] == 0 || heap_bytes().empty()) return std::nullopt;
    const long result = raw_syscall(call.number, a[0], a[1], a[2], a[3], a[4]);
    if (result == 0) ManagedHeap::get()->pager().forbid_merging();
    return result;
}

}  // namespace

bool concerns_heap(const Call& call) noexcept {
    const auto& a = call.arguments;
    switch (call.number) {
        case SYS_madvise:
        case SYS_mprotect:
        case SYS_pkey_mprotect:
        case SYS_mlock:
        case SYS_mlock2:
        case SYS_munlock:
        case SYS_mmap:
        case SYS_munmap:
        case SYS_remap_file_pages:
        case kMseal:
            return in_heap(a[0], a[1]);
        case SYS_mremap:
            return in_heap(a[0], std::max<std::uint64_t>(a[1], 1)) || in_heap(a[4], a[2]);
        case SYS_shmat:
            return in_heap(a[1], 1);
        case SYS_prctl:
            return static_cast<int>(a[0]) == kSetMemoryMerge;
        case SYS_mlockall:
        case SYS_munlockall:
        case SYS_process_madvise:
            return true;
        default:
            return false;
    }
}

std::optional<long> answer_memory_call(const Call& call) noexcept {
    const auto& a = call.arguments;
    switch (call.number) {
        case SYS_madvise:
            return in_parts(call, whole_units(a[0], a[1]),
                            [&](core::PageRange pages) { return HeapMemory::advise(pages, static_cast<int>(a[2])); });
        case SYS_mprotect:
            return in_parts(call, whole_units(a[0], a[1]),
                            [&](core::PageRange pages) { return HeapMemory::protect(pages, a[2]); });
        case SYS_pkey_mprotect:
            return in_parts(call, whole_units(a[0], a[1]), [&](core::PageRange pages) {
                return static_cast<int>(a[3]) == -1 ? HeapMemory::protect(pages, a[2]) : -EINVAL;
            });
        case SYS_mlock:
        case SYS_mlock2: {
            // The kernel rounds both ends outwards to whole pages.
            const std::uint64_t begin = core::align_down(a[0], core::kUnitBytes);
            if (call.number == SYS_mlock2 && (a[2] & ~std::uint64_t{MLOCK_ONFAULT}) != 0) return std::nullopt;
            return in_parts(call, whole_units(begin, a[1] + (a[0] - begin)), &HeapMemory::lock);
        }
        case SYS_munlock: {
            const std::uint64_t begin = core::align_down(a[0], core::kUnitBytes);
            return in_parts(call, whole_units(begin, a[1] + (a[0] - begin)), &HeapMemory::unlock);
        }
        case SYS_mlockall:
            return lock_everything(a[0]);
        case SYS_munlockall:
            return unlock_everything();
        case SYS_mmap:
            return map(call);
        case SYS_mremap:
            return remap(call);
        case SYS_munmap:
        case SYS_remap_file_pages:
        case kMseal:
            return refuse_in_heap(a[0], a[1]);
        case SYS_shmat:
            return (a[2] & SHM_REMAP) != 0 ? refuse_in_heap(a[1], 1) : std::nullopt;
        case SYS_process_madvise:
            return refuse_any_in_heap(a[1], a[2]);
        case SYS_prctl:
            return control_process(call);
        default:
            return std::nullopt;
    }
}

}  // namespace faultline::preload
