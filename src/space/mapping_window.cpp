#include "space/mapping_window.hpp"

#include "core/units.hpp"
#include "sys/errno_of.hpp"
#include "sys/error.hpp"
#include "sys/mapping.hpp"
#include "sys/own_place.hpp"
#include "sys/syscall.hpp"
#include "sys/transient.hpp"

#include <sys/mman.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <new>
#include <system_error>
#include <vector>

namespace faultline::space {
namespace {

using sys::raw_syscall;

constexpr std::uint64_t kFixedNoReplace = 0x100000;  // MAP_FIXED_NOREPLACE
constexpr std::uint64_t kTypes = 0x0f;               // MAP_TYPE

// A smaller copy of a file saves too little memory for what it costs. A larger one costs too much: all of it is read at
// once.
constexpr std::size_t kSmallestCopy = std::size_t{256} << 10;
constexpr std::size_t kLargestCopy = std::size_t{32} << 20;

Access access_of(std::uint64_t protection) noexcept {
    if ((protection & PROT_WRITE) != 0) return Access::read_write;
    return (protection & (PROT_READ | PROT_EXEC)) != 0 ? Access::read : Access::none;
}

long kernel_map(AddressRange range, const MapRequest& request, std::uint64_t more_flags) noexcept {
    return raw_syscall(SYS_mmap, range.begin, range.bytes(), request.protection, request.flags | more_flags,
                       request.descriptor, request.offset);
}

/// Maps memory somewhere and unmaps it again. Returns 0 or a negated errno.
long try_to_map(std::size_t bytes, const MapRequest& request) noexcept {
    const long trial = kernel_map({0, bytes}, request, MAP_NORESERVE);
    if (sys::error_of(trial) != 0) return trial;
    return raw_syscall(SYS_munmap, trial, bytes);
}

/// Returns the errno with which the kernel refuses to map this anywhere; 0 if it does not.
long refusal_of(std::size_t bytes, MapRequest request) noexcept {
    if ((request.flags & MAP_LOCKED) != 0) {  // no page of closed memory is filled
        const MapRequest closed{PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, ~std::uint64_t{0}, 0};
        if (const long error = try_to_map(bytes, closed)) return error;
    }
    request.flags &= ~(std::uint64_t{MAP_FIXED} | kFixedNoReplace | MAP_POPULATE | MAP_LOCKED);
    return try_to_map(bytes, request);
}

}  // namespace

bool MapRequest::manageable() const noexcept { return is_plain_private() && (flags & MAP_ANONYMOUS) != 0; }

bool MapRequest::copies_file(std::size_t bytes) const noexcept {
    return is_plain_private() && (flags & MAP_ANONYMOUS) == 0 && writable() && bytes >= kSmallestCopy &&
           bytes <= kLargestCopy;
}

bool MapRequest::is_plain_private() const noexcept {
    constexpr std::uint64_t kKnown = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK |
                                     MAP_FIXED | kFixedNoReplace | MAP_DENYWRITE | MAP_EXECUTABLE;
    constexpr std::uint64_t kProtections = PROT_READ | PROT_WRITE;
    return (flags & kTypes) == MAP_PRIVATE && (flags & ~kKnown) == 0 && (protection & ~kProtections) == 0;
}

bool MapRequest::writable() const noexcept { return (protection & PROT_WRITE) != 0; }

MappingWindow::MappingWindow(pager::Pager& pager, AddressRange range, Leaving leaving)
    : pager_{pager},
      region_{pager.reserve(range.bytes(), core::kUnitBytes, {.address = range.begin, .window = true})},
      leaving_{leaving},
      gaps_{range} {}

MappingWindow::~MappingWindow() {
    static_cast<void>(unmap(range()));
    pager_.destroy_or_report(region_);
}

core::PageRange MappingWindow::pages_of(AddressRange range) const noexcept {
    return {region_.page_of(range.begin), range.bytes() >> core::kUnitShift};
}

void MappingWindow::note(AddressRange range, Keeper keeper, Access access, ForkRule fork) {
    set_.insert(range, {.keeper = keeper, .access = access, .fork = fork});
    gaps_.take(range);
}

/// Removes the segments of a range, whose ends are segment boundaries.
void MappingWindow::forget(AddressRange range) {
    drop_file_mappings(range);
    set_.erase(range);
    gaps_.give(range);
}

// ---- map

long MappingWindow::map(std::uint64_t hint, std::size_t bytes, const MapRequest& request) {
    const std::optional<AddressRange> free = choose_free(hint, bytes);
    if (!free) return -ENOMEM;
    if (const long error = put(*free, request)) {
        static_cast<void>(raw_syscall(SYS_munmap, free->begin, free->bytes()));  // the claim
        return error;
    }
    set_.merge(*free);
    return static_cast<long>(free->begin);
}

/// Returns a free range in which the kernel has mapped memory without access, so that nothing else can come there.
std::optional<AddressRange> MappingWindow::choose_free(std::uint64_t hint, std::size_t bytes) {
    const AddressRange wished{hint, hint + bytes};
    if (hint % core::kUnitBytes == 0 && range().contains(wished) && set_.is_free(wished) && claim(wished))
        return wished;
    constexpr int kMostTries = 16;
    for (int i = 0; i < kMostTries; ++i) {
        const std::optional<AddressRange> gap = gaps_.smallest(bytes);
        if (!gap) return std::nullopt;
        const AddressRange free{gap->end - bytes, gap->end};
        if (claim(free)) return free;
        note(free, Keeper::kernel, Access::none);  // unknown memory, from a call that the caller did not see
    }
    return std::nullopt;
}

bool MappingWindow::claim(AddressRange range) {
    return sys::close_if_free(core::pointer_to(range.begin), range.bytes());
}

/// Maps manageable memory in a range without segments, over what the kernel has mapped there.
long MappingWindow::put(AddressRange range, const MapRequest& request) {
    if (request.writable()) return put_in_pager(range, Access::read_write);
    MapRequest over = request;
    over.flags &= ~kFixedNoReplace;
    const long result = kernel_map(range, over, MAP_FIXED | MAP_NORESERVE);
    if (sys::error_of(result) != 0) return result;
    note(range, Keeper::nobody, access_of(request.protection));
    return 0;
}

long MappingWindow::put_in_pager(AddressRange range, Access access) {
    const long error = sys::errno_of([&] { pager_.gaps().map(region_, pages_of(range), access); });
    if (error == 0) note(range, Keeper::pager, access);
    return error;
}

long MappingWindow::map_fixed(AddressRange range, const MapRequest& request) {
    const bool replaces = (request.flags & kFixedNoReplace) == 0;
    if (!replaces && !set_.is_free(range)) return -EEXIST;
    if (request.copies_file(range.bytes())) {
        if (const std::optional<long> result = replace_by_file(range, request, replaces)) return *result;
    }
    if (!request.manageable()) {
        // First: nothing is lost if the kernel refuses the call.
        if (const long error = refusal_of(range.bytes(), request)) return error;
        if (const long error = make_room(range)) return error;
        const long result = kernel_map(range, request, 0);
        if (sys::error_of(result) == 0) note(range, Keeper::kernel, access_of(request.protection));
        set_.merge(range);
        return result;
    }
    if (!replaces && !claim(range)) return -EEXIST;
    long error = 0;
    if (request.writable() && all_in_pager(range)) {
        error = replace_in_place(range);
    } else {
        error = make_room(range);
        if (error == 0) error = put(range, request);
    }
    set_.merge(range);
    return error != 0 ? error : static_cast<long>(range.begin);
}

bool MappingWindow::all_in_pager(AddressRange range) const noexcept {
    bool all = set_.covers(range);
    set_.for_each_in(range, [&](const Segment& segment) { all = all && segment.origin.keeper == Keeper::pager; });
    return all;
}

/// Makes pages of the pager zeros that the program may write to.
long MappingWindow::replace_in_place(AddressRange range) {
    leaving_(pages_of(range));
    set_.split_at(range);
    set_fork_rule(range, {});
    if (const long error = protect(range, PROT_READ | PROT_WRITE)) return error;
    if (const long error = sys::errno_of([&] { pager_.discarder().discard(region_, pages_of(range)); })) return error;
    set_.split_at(range);  // they may have become alike
    drop_file_mappings(range);
    return 0;
}

// ---- unmap

long MappingWindow::unmap(AddressRange range) {
    if (const long error = make_room(range)) return error;
    return raw_syscall(SYS_munmap, range.begin, range.bytes());
}

/// Takes memory away from the pager and forgets all segments of the range. Memory of the kernel stays mapped.
long MappingWindow::make_room(AddressRange range) {
    set_.split_at(range);
    long error = 0;
    for (std::uintptr_t at = range.begin; error == 0;) {
        const Segment* const segment = set_.find_from(at);
        if (segment == nullptr || segment->range.begin >= range.end) break;
        const AddressRange part = segment->range;
        if (segment->origin.keeper == Keeper::pager) error = release(part);
        if (error == 0) forget(part);
        at = part.end;
    }
    if (error != 0) set_.merge(range);
    return error;
}

/// Discards and unmaps pages of the pager. Waits a while for system calls that use them: -ENOMEM if these go on.
long MappingWindow::release(AddressRange range) {
    leaving_(pages_of(range));
    constexpr int kMostTries = 1000;
    for (int i = 0; i < kMostTries; ++i) {
        const long error = sys::errno_of([&] { pager_.gaps().release(region_, pages_of(range)); });
        if (error != -EBUSY) return error;
        sys::nap(std::chrono::milliseconds{1});
    }
    return -ENOMEM;
}

// ---- protect

long MappingWindow::protect(AddressRange range, std::uint64_t protection) {
    set_.split_at(range);
    long error = 0;
    for (std::uintptr_t at = range.begin; at < range.end && error == 0;) {
        const Segment* const segment = set_.find_from(at);
        const bool found = segment != nullptr && segment->range.begin < range.end;
        const AddressRange gap{at, found ? segment->range.begin : range.end};
        if (!gap.empty()) error = raw_syscall(SYS_mprotect, gap.begin, gap.bytes(), protection);
        if (error != 0 || !found) break;
        const AddressRange part = segment->range;
        error = protect_part(part, segment->origin.keeper, protection);
        at = part.end;
    }
    set_.merge(range);
    return error;
}

/// Makes memory that the program could never write to writable. It stays as it was if there are too many mappings.
long MappingWindow::give_to_pager(AddressRange part) {
    const Access before = set_.find_from(part.begin)->origin.access;
    const ForkRule fork = set_.find_from(part.begin)->origin.fork;
    forget(part);
    const long error = put_in_pager(part, Access::read_write);
    if (error == 0) {
        set_fork_rule(part, fork);
        return 0;
    }
    const std::uint64_t protection = before == Access::none ? std::uint64_t{PROT_NONE} : std::uint64_t{PROT_READ};
    const MapRequest reservation{protection, MAP_PRIVATE | MAP_ANONYMOUS, ~std::uint64_t{0}, 0};
    // At the limit of mappings the kernel may have refused the first step, and the reservation is still there.
    const long reserved = kernel_map(part, reservation, kFixedNoReplace | MAP_NORESERVE);
    if (sys::error_of(reserved) == 0 || reserved == -EEXIST) note(part, Keeper::nobody, before, fork);
    return error;
}

/// Changes the protection of one segment.
long MappingWindow::protect_part(AddressRange part, Keeper keeper, std::uint64_t protection) {
    constexpr std::uint64_t kPlain = PROT_READ | PROT_WRITE;
    const Access access = access_of(protection);
    const bool plain = (protection & ~kPlain) == 0;
    if (plain && keeper == Keeper::pager) {
        const long error = sys::errno_of([&] { pager_.protector().protect(region_, pages_of(part), access); });
        if (error == 0) set_.set_access(part, access);
        return error;
    }
    if (plain && keeper == Keeper::nobody && access == Access::read_write) {
        return give_to_pager(part);
    }
    if (!plain && keeper == Keeper::pager) {
        if (const long error = give_part_to_kernel(part)) return error;
    }
    if (const long error = raw_syscall(SYS_mprotect, part.begin, part.bytes(), protection)) return error;
    set_.set_access(part, access);
    if (!plain) set_.set_keeper(part, Keeper::kernel);
    return 0;
}

// ---- to the kernel

long MappingWindow::give_to_kernel(AddressRange range) {
    set_.split_at(range);
    std::vector<AddressRange> parts;
    set_.for_each_in(range, [&](const Segment& segment) {
        const bool accessible = segment.origin.access == Access::read_write;  // not a guard of the program's own
        if (segment.origin.keeper == Keeper::pager && accessible) parts.push_back(segment.range);
    });
    long error = 0;
    for (const AddressRange part : parts) {
        if (error == 0) error = give_part_to_kernel(part);
    }
    set_.merge(range);
    return error;
}

/// Copies the pages first, so that nothing is lost if the kernel has no memory. The memory is writable afterwards.
long MappingWindow::give_part_to_kernel(AddressRange range) {
    if (set_.find_from(range.begin)->origin.file_mapping.exists()) return give_file_to_kernel(range, true);
    const MapRequest anonymous{PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, ~std::uint64_t{0},
                               0};
    std::byte* const place = sys::OwnPlace::take(range.bytes(), core::kUnitBytes, sys::OwnPlace::InChild::kept);
    const std::uintptr_t begin = core::address_of(place);
    const long copy = kernel_map({begin, begin + range.bytes()}, anonymous, place != nullptr ? MAP_FIXED : 0);
    if (sys::error_of(copy) != 0) {
        sys::OwnPlace::give_back(place, range.bytes());
        return copy;
    }
    const ForkRule fork = set_.find_from(range.begin)->origin.fork;
    long error = sys::errno_of([&] { pager_.protector().protect(region_, pages_of(range), Access::read_write); });
    if (error == 0) {
        copy_to(range, static_cast<std::uint64_t>(copy));
        error = make_room(range);
    }
    if (error != 0) {
        static_cast<void>(sys::unmap(core::pointer_to(static_cast<std::uintptr_t>(copy)), range.bytes()));
        return error;
    }
    const long moved =
        raw_syscall(SYS_mremap, copy, range.bytes(), range.bytes(), MREMAP_MAYMOVE | MREMAP_FIXED, range.begin);
    if (sys::error_of(moved) != 0) return moved;
    sys::OwnPlace::give_back_hole(place, range.bytes());
    note(range, Keeper::kernel, Access::read_write);
    set_fork_rule(range, fork);
    return 0;
}

/// Copies what the pager's pages hold to `address`, where zeros are mapped.
void MappingWindow::copy_to(AddressRange range, std::uint64_t address) const {
    const core::PageRange pages = pages_of(range);
    region_.table().for_each_touched(pages, [&](std::uint64_t page) {
        if (region_.load(page).is(core::PageState::empty)) return;
        std::memcpy(core::pointer_to(address + region_.offset_of(page - pages.first)), region_.address_of(page),
                    core::kUnitBytes);
    });
}

}  // namespace faultline::space
