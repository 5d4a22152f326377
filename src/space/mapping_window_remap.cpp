// mremap(2) of a MappingWindow.

#include "core/units.hpp"
#include "space/mapping_window.hpp"
#include "sys/error.hpp"
#include "sys/syscall.hpp"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace faultline::space {
namespace {

using sys::raw_syscall;

constexpr std::uint64_t kDontUnmap = 4;  // MREMAP_DONTUNMAP, Linux 5.7

std::uint64_t whole(std::uint64_t bytes) noexcept { return core::align_up(bytes, core::kUnitBytes); }

AddressRange range_at(std::uint64_t address, std::uint64_t bytes) noexcept { return {address, address + whole(bytes)}; }

std::uint64_t protection_of(Access access) noexcept {
    if (access == Access::read_write) return PROT_READ | PROT_WRITE;
    return access == Access::none ? PROT_NONE : PROT_READ;
}

/// Returns -EINVAL if the kernel refuses the arguments whatever is mapped; else 0.
long check(const RemapRequest& request) noexcept {
    constexpr std::uint64_t kKnown = MREMAP_MAYMOVE | MREMAP_FIXED | kDontUnmap;
    const bool may_move = (request.flags & MREMAP_MAYMOVE) != 0;
    const bool fixed = (request.flags & MREMAP_FIXED) != 0;
    const bool keeps_old = (request.flags & kDontUnmap) != 0;
    const std::uint64_t most = core::kUserAddressEnd;
    if ((request.flags & ~kKnown) != 0 || ((fixed || keeps_old) && !may_move)) return -EINVAL;
    if (request.old_address % core::kUnitBytes != 0 || request.old_bytes > most || request.new_bytes > most)
        return -EINVAL;
    if (request.new_bytes == 0 || request.old_bytes == 0) return -EINVAL;
    if (keeps_old && whole(request.old_bytes) != whole(request.new_bytes)) return -EINVAL;
    // The kernel checks the new address in both cases, though it need not move the memory there without MREMAP_FIXED.
    if (!fixed && !keeps_old) return 0;
    if (request.new_address % core::kUnitBytes != 0 || request.new_address > most - whole(request.new_bytes))
        return -EINVAL;
    const bool overlap =
        range_at(request.old_address, request.old_bytes).overlaps(range_at(request.new_address, request.new_bytes));
    return overlap ? -EINVAL : 0;
}

}  // namespace

long MappingWindow::remap(const RemapRequest& request) {
    if (const long error = check(request)) return error;
    const AddressRange old = range_at(request.old_address, request.old_bytes);
    const Segment* const segment = std::as_const(set_).find(old.begin);
    if (segment == nullptr || segment->origin.keeper == Keeper::kernel) return remap_kernel_memory(request);
    if (!segment->range.contains(old)) return -EFAULT;
    const bool shrinks = request.flags == (request.flags & MREMAP_MAYMOVE) && whole(request.new_bytes) <= old.bytes();
    if (segment->origin.file_mapping.exists() && !shrinks) {
        const Access access = segment->origin.access;
        set_.split_at(old);
        if (const long error = give_part_to_kernel(old)) return error;
        if (const long error = protect_part(old, Keeper::kernel, protection_of(access))) return error;
        return remap_kernel_memory(request);
    }
    return remap_in_window(*segment, request);
}

/// Makes the kernel's call on memory that the kernel has, and records what has changed in the window.
long MappingWindow::remap_kernel_memory(const RemapRequest& request) {
    const AddressRange old = range_at(request.old_address, request.old_bytes);
    const AddressRange target = range_at(request.new_address, request.new_bytes);
    if ((request.flags & MREMAP_FIXED) != 0 && target.overlaps(range())) {
        if (!range().contains(target)) return -EINVAL;
        // A call that changes nothing: the target keeps its memory if the kernel refuses the source.
        const long same = raw_syscall(SYS_mremap, old.begin, old.bytes(), old.bytes(), 0, 0);
        if (sys::error_of(same) != 0) return same;
        if (const long error = make_room(target)) return error;
    }
    const Segment* const segment = std::as_const(set_).find(old.begin);
    const Access access = segment != nullptr ? segment->origin.access : Access::read_write;
    const long result = raw_syscall(SYS_mremap, request.old_address, request.old_bytes, request.new_bytes,
                                    request.flags, request.new_address);
    if (sys::error_of(result) != 0) return result;
    if ((request.flags & kDontUnmap) == 0 && range().contains(old)) {
        set_.split_at(old);
        forget(old);
    }
    const AddressRange now = range_at(static_cast<std::uint64_t>(result), request.new_bytes);
    if (range().contains(now)) {
        note(now, Keeper::kernel, access);
        set_.merge(now);
    }
    return result;
}

/// The same for memory of the pager and for memory that was never written.
long MappingWindow::remap_in_window(const Segment& segment, const RemapRequest& request) {
    AddressRange old = range_at(request.old_address, request.old_bytes);
    const std::size_t bytes = whole(request.new_bytes);
    const Origin origin = segment.origin;
    const bool stays = (request.flags & (MREMAP_FIXED | kDontUnmap)) == 0;
    if (stays && bytes > old.bytes()) {
        if (grow_in_place(old, bytes, segment) == 0) return static_cast<long>(old.begin);
        if ((request.flags & MREMAP_MAYMOVE) == 0) return -ENOMEM;
    } else if (bytes < old.bytes()) {
        if (const long error = unmap({old.begin + bytes, old.end})) return error;
        old.end = old.begin + bytes;
    }
    if (stays && bytes == old.bytes()) return static_cast<long>(old.begin);
    const long result = move(old, bytes, request, origin);
    set_.merge(old);
    if (sys::error_of(result) == 0) set_.merge(range_at(static_cast<std::uint64_t>(result), bytes));
    return result;
}

/// Returns 0, or a negated errno if the memory behind the range is in use.
long MappingWindow::grow_in_place(AddressRange old, std::size_t bytes, const Segment& segment) {
    const AddressRange more{old.end, old.begin + bytes};
    if (segment.range.end != old.end || !range().contains(more) || !set_.is_free(more) || !claim(more)) return -ENOMEM;
    const Origin origin = segment.origin;
    const long error = put_alike(more, origin);
    if (error == 0) {
        set_.merge(more);
    } else if (set_.is_free(more)) {
        static_cast<void>(raw_syscall(SYS_munmap, more.begin, more.bytes()));  // the claim
    }
    return error;
}

/// Maps memory with the keeper and the access of `origin` in a range without segments, which the kernel has claimed.
long MappingWindow::put_alike(AddressRange range, const Origin& origin) {
    const MapRequest request{protection_of(origin.access), MAP_PRIVATE | MAP_ANONYMOUS, ~std::uint64_t{0}, 0};
    const long error = origin.keeper == Keeper::nobody ? put(range, request) : put_in_pager(range, Access::read_write);
    if (error != 0) return error;
    set_fork_rule(range, origin.fork);
    if (origin.keeper == Keeper::nobody) return 0;
    return origin.access == Access::read_write ? 0 : protect_part(range, Keeper::pager, request.protection);
}

/// Moves memory of one segment to a place that the request names, or to a free one.
long MappingWindow::move(AddressRange old, std::size_t bytes, const RemapRequest& request, const Origin& origin) {
    AddressRange target = range_at(request.new_address, bytes);
    if ((request.flags & MREMAP_FIXED) == 0) {
        const std::optional<AddressRange> free = choose_free(0, bytes);
        if (!free) return -ENOMEM;
        target = *free;
    } else if (!target.overlaps(range())) {
        return move_out(old, request);
    } else if (!range().contains(target)) {
        return -EINVAL;
    } else if (const long error = unmap(target)) {
        return error;
    }
    const bool keeps_old = (request.flags & kDontUnmap) != 0;
    const long error = origin.keeper == Keeper::pager ? move_pages(old, target, origin)
                                                      : move_reservation(old, target, origin, keeps_old);
    if (error != 0) return error;
    if (!keeps_old && origin.keeper == Keeper::pager) {
        if (const long failed = make_room(old)) return failed;
    }
    return static_cast<long>(target.begin);
}

/// Moves memory out of the window: the kernel has it from now on.
long MappingWindow::move_out(AddressRange old, const RemapRequest& request) {
    set_.split_at(old);
    const Segment& segment = *std::as_const(set_).find(old.begin);
    const Access access = segment.origin.access;
    if (segment.origin.keeper == Keeper::pager) {
        if (const long error = give_part_to_kernel(old)) return error;
        if (const long error = protect_part(old, Keeper::kernel, protection_of(access))) return error;
    } else {
        set_.set_keeper(old, Keeper::kernel);
    }
    RemapRequest rest = request;
    rest.old_bytes = old.bytes();
    return remap_kernel_memory(rest);
}

/// Moves memory that was never written.
long MappingWindow::move_reservation(AddressRange old, AddressRange target, const Origin& origin, bool keeps_old) {
    const std::uint64_t flags = MREMAP_MAYMOVE | MREMAP_FIXED | (keeps_old ? kDontUnmap : 0);
    const long result = raw_syscall(SYS_mremap, old.begin, old.bytes(), target.bytes(), flags, target.begin);
    if (sys::error_of(result) != 0) return result;
    if (!keeps_old) {
        set_.split_at(old);
        forget(old);
    }
    note(target, origin.keeper, origin.access, origin.fork);
    return 0;
}

/// Moves the pager's pages, in frames where the kernel moves frames. The old pages are zeros afterwards.
long MappingWindow::move_pages(AddressRange old, AddressRange target, const Origin& origin) {
    leaving_(pages_of(old));
    if (const long error = put_in_pager(target, Access::read_write)) return error;
    set_fork_rule(target, origin.fork);
    set_.split_at(old);
    long error = origin.access == Access::read_write ? 0 : protect_part(old, Keeper::pager, PROT_READ | PROT_WRITE);
    if (error != 0) return error;
    try {
        const core::PageRange from = pages_of(old);
        const std::uint64_t moved = pager_.mover().move(region_, from, region_.page_of(target.begin));
        const std::size_t offset = region_.offset_of(moved);
        copy_to({old.begin + offset, old.end}, target.begin + offset);
        pager_.discarder().discard(region_, from);
    } catch (const std::system_error& failed) {
        return -failed.code().value();
    }
    if (origin.access == Access::read_write) return error;
    const std::uint64_t protection = protection_of(origin.access);
    if (error == 0) error = protect_part(old, Keeper::pager, protection);
    if (error == 0) error = protect_part(target, Keeper::pager, protection);
    return error;
}

}  // namespace faultline::space
