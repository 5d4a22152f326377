#include "preload/memory_calls.hpp"

#include "core/address_range.hpp"
#include "core/units.hpp"
#include "preload/managed_heap.hpp"
#include "preload/managed_memory.hpp"
#include "preload/program_mappings.hpp"
#include "preload/program_memory.hpp"
#include "sys/kernel_abi.hpp"
#include "sys/own_place.hpp"
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

AddressRange units_touched(std::uint64_t address, std::uint64_t bytes) noexcept {
    return whole_units(core::align_down(address, core::kUnitBytes), bytes + address % core::kUnitBytes);
}

bool in_heap(std::uint64_t address, std::uint64_t bytes) noexcept {
    return units_touched(address, bytes).overlaps(ManagedMemory::heap_range());
}

bool in_window(std::uint64_t address, std::uint64_t bytes) noexcept {
    return units_touched(address, bytes).overlaps(ManagedMemory::window_range());
}

bool in_own_place(std::uint64_t address, std::uint64_t bytes) noexcept {
    return sys::OwnPlace::overlaps(units_touched(address, bytes));
}

/// Returns true if the call would change memory of the library that lies in OwnPlace. No program has mapped it.
bool changes_own_place(const Call& call) noexcept {
    const auto& a = call.arguments;
    switch (call.number) {
        case SYS_madvise:
        case SYS_mprotect:
        case SYS_pkey_mprotect:
        case SYS_munmap:
        case SYS_remap_file_pages:
        case kMseal:
            return in_own_place(a[0], a[1]);
        case SYS_mmap:
            return (a[3] & MAP_FIXED) != 0 && in_own_place(a[0], a[1]);
        case SYS_mremap:
            return in_own_place(a[0], std::max<std::uint64_t>(a[1], 1)) ||
                   ((a[3] & MREMAP_FIXED) != 0 && in_own_place(a[4], a[2]));
        case SYS_shmat:
            return (a[2] & SHM_REMAP) != 0 && in_own_place(a[1], 1);
        default:
            return false;
    }
}

bool has_managed_part(AddressRange range) noexcept { return ManagedMemory::first_part(range).has_value(); }

/// Makes the same call on `part` of its range, which is not managed. Does nothing if `part` is empty.
long on_part(const Call& call, AddressRange part) noexcept {
    if (part.empty()) return 0;
    const auto& a = call.arguments;
    return raw_syscall(call.number, part.begin, part.bytes(), a[2], a[3], a[4], a[5]);
}

/// Makes a call on a range whose parts are independent: `act` handles each managed part. Stops at an error, but not at
/// one for which `goes_on` returns true. Returns the error at which it stopped, else the first one.
template <typename Act, typename GoesOn>
std::optional<long> in_parts(const Call& call, AddressRange range, Act act, GoesOn goes_on) noexcept {
    if (!has_managed_part(range)) return std::nullopt;
    long first_error = 0;
    const auto failed = [&](long error) {
        const bool stops = error != 0 && !goes_on(error);
        if (stops || first_error == 0) first_error = error;
        return stops;
    };
    while (const std::optional<ManagedMemory::Part> part = ManagedMemory::first_part(range)) {
        if (failed(on_part(call, {range.begin, part->range.begin})) || failed(act(*part))) return first_error;
        range.begin = part->range.end;
    }
    static_cast<void>(failed(on_part(call, range)));
    return first_error;
}

template <typename Act>
std::optional<long> in_parts(const Call& call, AddressRange range, Act act) noexcept {
    return in_parts(call, range, act, [](long) { return false; });
}

/// Makes a call that changes mappings on the parts of a range below the window, in it, and above it.
template <typename Act>
std::optional<long> around_window(const Call& call, AddressRange range, Act act) noexcept {
    const AddressRange inside = range.part_in(ManagedMemory::window_range());
    if (inside.empty()) return std::nullopt;
    if (const long error = on_part(call, {range.begin, inside.begin})) return error;
    if (const long error = act(inside)) return error;
    return on_part(call, {inside.end, range.end});
}

/// Answers mmap with MAP_FIXED over the heap: maps zeros over whole pages. No other mapping can lie in the heap.
std::optional<long> map(const Call& call) noexcept {
    const auto& a = call.arguments;
    const std::uint64_t flags = a[3];
    if ((flags & MAP_FIXED) == 0 || (flags & kFixedNoReplace) != 0) return ProgramMappings::map(call);
    const AddressRange range = whole_units(a[0], a[1]);
    const AddressRange managed = range.part_in(ManagedMemory::heap_range());
    if (managed.empty()) return ProgramMappings::map(call);
    constexpr std::uint64_t kKnown =
        MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK | MAP_POPULATE | MAP_NONBLOCK;
    constexpr std::uint64_t kZeros = MAP_PRIVATE | MAP_ANONYMOUS;
    if ((flags & kZeros) != kZeros || (flags & ~kKnown) != 0 || managed.bytes() != range.bytes()) return -EINVAL;
    const ManagedMemory::Part part{*ManagedMemory::heap(), managed};
    const long error = part.memory.replace(part.pages(), a[2]);
    return error != 0 ? error : static_cast<long>(a[0]);
}

/// Keeps memory of the heap in place, and refuses to move other memory there.
std::optional<long> remap(const Call& call) noexcept {
    const auto& [old_address, old_bytes, new_bytes, flags, new_address, unused] = call.arguments;
    const bool fixed = (flags & MREMAP_FIXED) != 0;
    const bool from_heap = in_heap(old_address, std::max<std::uint64_t>(old_bytes, 1));
    const bool to_heap = fixed && in_heap(new_address, new_bytes);
    if (!from_heap && !to_heap) return ProgramMappings::remap(call);
    const AddressRange before = whole_units(old_address, old_bytes);
    if (to_heap || flags != (flags & MREMAP_MAYMOVE) || before.empty()) return -EINVAL;
    const bool as_it_is = before.bytes() == core::align_up(new_bytes, core::kUnitBytes);
    return as_it_is ? static_cast<long>(old_address) : -EINVAL;
}

std::optional<long> unmap(const Call& call) noexcept {
    const auto& a = call.arguments;
    if (in_heap(a[0], a[1])) return -EINVAL;
    return around_window(call, whole_units(a[0], a[1]), &ProgramMappings::unmap);
}

/// In the window the mappings know which memory becomes managed; elsewhere the pages are.
std::optional<long> protect(const Call& call, std::uint64_t protection) noexcept {
    const auto& a = call.arguments;
    const AddressRange range = whole_units(a[0], a[1]);
    if (in_window(a[0], a[1])) {
        return around_window(call, range,
                             [&](AddressRange inside) { return ProgramMappings::protect(inside, protection); });
    }
    return in_parts(call, range,
                    [&](const ManagedMemory::Part& part) { return part.memory.protect(part.pages(), protection); });
}

/// Hints that managed memory cannot follow. In the window they succeed, as on memory of the kernel.
bool is_hint_without_effect(int advice) noexcept {
    return advice == MADV_HUGEPAGE || advice == MADV_MERGEABLE || advice == MADV_DODUMP;
}

bool is_of_fork(int advice) noexcept {
    return advice == MADV_DONTFORK || advice == MADV_DOFORK || advice == MADV_WIPEONFORK || advice == MADV_KEEPONFORK;
}

bool is_dontneed(int advice) noexcept { return advice == MADV_DONTNEED || advice == sys::abi::kAdviseDontneedLocked; }

/// Returns the errno with which the kernel refuses this advice for a private mapping of a file, where it follows it for
/// anonymous memory. 0: the kernel does the same for both.
long refusal_for_file(int advice) noexcept {
    if (advice == MADV_REMOVE) return -EACCES;
    return advice == MADV_FREE || advice == MADV_WIPEONFORK ? -EINVAL : 0;
}

/// Follows advice that is the same for anonymous memory and private copies of files, or that concerns the former.
long advise_alike(const ManagedMemory::Part& part, int advice) noexcept {
    return is_of_fork(advice) ? 0 : part.memory.advise(part.pages(), advice);  // advise_fork records the former
}

/// Follows advice on managed memory of the window, in order, up to the first error.
long advise_window(const ManagedMemory::Part& part, int advice) noexcept {
    if (is_hint_without_effect(advice)) return 0;
    const long refusal = refusal_for_file(advice);
    if (refusal == 0 && !is_dontneed(advice)) return advise_alike(part, advice);
    AddressRange rest = part.range;
    while (!rest.empty()) {
        const AddressRange file = ProgramMappings::first_file_part(rest);
        const AddressRange anonymous{rest.begin, file.empty() ? rest.end : file.begin};
        long error = anonymous.empty() ? 0 : advise_alike({part.memory, anonymous}, advice);
        if (error != 0 || file.empty()) return error;
        error = refusal != 0 ? refusal : ProgramMappings::restore_files(file);
        if (error != 0) return error;
        rest.begin = file.end;
    }
    return 0;
}

/// Follows advice, without the kernel where memory is managed.
std::optional<long> advise_parts(const Call& call, AddressRange range) noexcept {
    const auto advice = static_cast<int>(call.arguments[2]);
    const bool populates = advice == sys::abi::kAdvisePopulateRead || advice == sys::abi::kAdvisePopulateWrite;
    return in_parts(
        call, range,
        [&](const ManagedMemory::Part& part) -> long {
            const bool window = &part.memory == ManagedMemory::window();
            return window ? advise_window(part, advice) : part.memory.advise(part.pages(), advice);
        },
        [&](long error) { return error == -ENOMEM && !populates; });  // most advice is followed behind gaps, too
}

/// Follows advice on children of fork as the kernel does: mapping by mapping, up to the first that refuses it.
long advise_fork(const Call& call, AddressRange range) noexcept {
    long unmapped = 0;
    while (!range.empty()) {
        const AddressRange part = ProgramMappings::first_mapping(range);
        const std::optional<long> answer = advise_parts(call, part);
        const long error = answer ? *answer : on_part(call, part);
        if (error == -ENOMEM) unmapped = error;
        if (error != 0 && error != -ENOMEM) return error;
        // The rule of managed memory, and of reservations: the kernel has mapped those, but their rule goes to the
        // pager with them.
        ProgramMappings::advise_fork(part.part_in(ManagedMemory::window_range()), static_cast<int>(call.arguments[2]));
        range.begin = part.end;
    }
    return unmapped;
}

std::optional<long> advise(const Call& call) noexcept {
    const AddressRange range = whole_units(call.arguments[0], call.arguments[1]);
    const auto advice = static_cast<int>(call.arguments[2]);
    if (!is_of_fork(advice) || range.part_in(ManagedMemory::window_range()).empty()) return advise_parts(call, range);
    return advise_fork(call, range);
}

std::optional<long> lock(const Call& call) noexcept {
    const auto& a = call.arguments;
    if (call.number == SYS_mlock2 && (a[2] & ~std::uint64_t{MLOCK_ONFAULT}) != 0) return std::nullopt;
    return in_parts(call, units_touched(a[0], a[1]),
                    [](const ManagedMemory::Part& part) { return part.memory.lock(part.pages()); });
}

std::optional<long> unlock(const Call& call) noexcept {
    return in_parts(call, units_touched(call.arguments[0], call.arguments[1]),
                    [](const ManagedMemory::Part& part) { return part.memory.unlock(part.pages()); });
}

std::optional<long> refuse_if_managed(std::uint64_t address, std::uint64_t bytes) noexcept {
    return has_managed_part(units_touched(address, bytes)) ? std::optional<long>{-EINVAL} : std::nullopt;
}

std::optional<long> refuse_any_managed(std::uint64_t buffers, std::uint64_t count) noexcept {
    if (count > IOV_MAX || !permits(buffers, count * sizeof(iovec), PinFor::reading)) return std::nullopt;
    for (std::uint64_t i = 0; i < count; ++i) {
        const iovec& buffer = reinterpret_cast<const iovec*>(buffers)[i];
        if (has_managed_part(units_touched(core::address_of(buffer.iov_base), buffer.iov_len))) return -EINVAL;
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
    if (ManagedMemory::heap() == nullptr || flags == 0 || (flags & ~kKnown) != 0 || flags == MCL_ONFAULT)
        return std::nullopt;
    say_once(
        said_of_mlockall,
        "faultline: mlockall fails with ENOMEM: the program's resident memory is limited, and pages beyond the limit "
        "are swapped out; mlock works for memory that must stay resident, up to the limit\n");
    return -ENOMEM;
}

std::optional<long> unlock_everything() noexcept {
    for (RegionMemory* const memory : {ManagedMemory::heap(), ManagedMemory::window()}) {
        if (memory != nullptr) memory->unlock_all();
    }
    return std::nullopt;
}

/// Makes prctl(PR_SET_MEMORY_MERGE) and then excludes the pager's pages from merging: the kernel would drop the write
/// protection by which the pager notices writes.
std::optional<long> control_process(const Call& call) noexcept {
    const auto& a = call.arguments;
    if (static_cast<int>(a[0]) != kSetMemoryMerge || a[1] == 0 || ManagedMemory::heap() == nullptr) return std::nullopt;
    const long result = raw_syscall(call.number, a[0], a[1], a[2], a[3], a[4]);
    if (result == 0) ManagedHeap::get()->pager().forbid_merging();
    return result;
}

}  // namespace

bool concerns_managed_memory(const Call& call) noexcept {
    if (changes_own_place(call)) return true;
    const auto& a = call.arguments;
    switch (call.number) {
        case SYS_madvise:
        case SYS_mprotect:
        case SYS_pkey_mprotect:
        case SYS_mlock:
        case SYS_mlock2:
        case SYS_munlock:
        case SYS_munmap:
        case SYS_remap_file_pages:
        case kMseal:
            return in_heap(a[0], a[1]) || in_window(a[0], a[1]);
        case SYS_mmap:
            return in_heap(a[0], a[1]) || ProgramMappings::concerns_map(call);
        case SYS_brk:
            return ProgramMappings::has_break() && !call.of_neighbour;
        case SYS_mremap: {
            const std::uint64_t bytes = std::max<std::uint64_t>(a[1], 1);
            return in_heap(a[0], bytes) || in_heap(a[4], a[2]) || in_window(a[0], bytes) || in_window(a[4], a[2]);
        }
        case SYS_shmat:
            return in_heap(a[1], 1) || in_window(a[1], 1);
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
    if (changes_own_place(call)) return -EINVAL;
    const auto& a = call.arguments;
    switch (call.number) {
        case SYS_madvise:
            return advise(call);
        case SYS_mprotect:
            return protect(call, a[2]);
        case SYS_pkey_mprotect:
            if (static_cast<int>(a[3]) == -1) return protect(call, a[2]);
            return refuse_if_managed(a[0], a[1]);
        case SYS_mlock:
        case SYS_mlock2:
            return lock(call);
        case SYS_munlock:
            return unlock(call);
        case SYS_mlockall:
            return lock_everything(a[0]);
        case SYS_munlockall:
            return unlock_everything();
        case SYS_mmap:
            return map(call);
        case SYS_mremap:
            return remap(call);
        case SYS_munmap:
            return unmap(call);
        case SYS_brk:
            return ProgramMappings::move_break(call);
        case SYS_remap_file_pages:
        case kMseal:
            return refuse_if_managed(a[0], a[1]);
        case SYS_shmat:
            return (a[2] & SHM_REMAP) != 0 ? refuse_if_managed(a[1], 1) : std::nullopt;
        case SYS_process_madvise:
            return refuse_any_managed(a[1], a[2]);
        case SYS_prctl:
            return control_process(call);
        default:
            return std::nullopt;
    }
}

}  // namespace faultline::preload
