// Private copies of files in a MappingWindow: the pager holds them like anonymous memory, with the file's bytes. The
// kernel maps the file a second time, beside the window, and takes over with that mapping whatever the pager cannot do.

#include "core/units.hpp"
#include "space/mapping_window.hpp"
#include "sys/access_probe.hpp"
#include "sys/errno_of.hpp"
#include "sys/full_transfer.hpp"
#include "sys/mapping.hpp"
#include "sys/own_place.hpp"
#include "sys/syscall.hpp"

#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace faultline::space {
namespace {

using sys::raw_syscall;

constexpr std::uint64_t kPagesPerRead = 256;

/// Returns the size of the request's file in bytes; 0 if the descriptor is not open, or not that of a regular file.
std::uint64_t size_of_file(const MapRequest& request) noexcept {
    struct stat found {};
    const long result = raw_syscall(SYS_fstat, static_cast<int>(request.descriptor), sys::syscall_argument(&found));
    return result == 0 && S_ISREG(found.st_mode) ? static_cast<std::uint64_t>(found.st_size) : 0;
}

/// Returns true if the file has bytes for every page. The kernel raises SIGBUS for pages behind the file's last one.
bool covers(const MapRequest& request, std::size_t bytes) noexcept {
    const std::uint64_t size = core::align_up(size_of_file(request), core::kUnitBytes);
    return request.offset % core::kUnitBytes == 0 && request.offset < size && bytes <= size - request.offset;
}

void unmap_file(FileMapping mapping, std::size_t bytes) noexcept {
    if (mapping.exists()) static_cast<void>(sys::unmap(core::pointer_to(mapping.address), bytes));
}

}  // namespace

// ---- map

std::optional<long> MappingWindow::map_file(std::uint64_t hint, std::size_t bytes, const MapRequest& request) {
    const FileMapping beside = map_beside(bytes, request);
    if (!beside.exists()) return std::nullopt;
    const std::optional<AddressRange> free = choose_free(hint, bytes);
    if (free && put_file(*free, request, beside) == 0) return static_cast<long>(free->begin);
    unmap_file(beside, bytes);
    if (free) static_cast<void>(raw_syscall(SYS_munmap, free->begin, bytes));  // the claim
    return std::nullopt;
}

/// Does what map_fixed does, if the pager can hold the copy. Otherwise returns nothing, and the range may be free.
std::optional<long> MappingWindow::replace_by_file(AddressRange range, const MapRequest& request, bool replaces) {
    const FileMapping beside = map_beside(range.bytes(), request);
    if (!beside.exists()) return std::nullopt;
    long error = !replaces && !claim(range) ? -EEXIST : make_room(range);
    const bool has_room = error == 0;
    if (has_room) error = put_file(range, request, beside);
    if (error == 0) return static_cast<long>(range.begin);
    unmap_file(beside, range.bytes());
    return has_room ? std::nullopt : std::optional{error};
}

/// Maps the request's file in OwnPlace, or where the kernel likes. Returns no mapping if the kernel refuses it, or if
/// the file does not fit.
FileMapping MappingWindow::map_beside(std::size_t bytes, const MapRequest& request) {
    if (!covers(request, bytes)) return {};
    std::byte* const place =
        sys::OwnPlace::take(core::align_up(bytes, core::kUnitBytes), core::kUnitBytes, sys::OwnPlace::InChild::kept);
    const long result = raw_syscall(SYS_mmap, core::address_of(place), bytes, PROT_READ,
                                    MAP_PRIVATE | MAP_NORESERVE | (place != nullptr ? MAP_FIXED : 0),
                                    request.descriptor, request.offset);
    if (sys::error_of(result) != 0) {
        sys::OwnPlace::give_back(place, bytes);
        return {};
    }
    return {static_cast<std::uintptr_t>(result), ++file_mappings_};
}

/// Maps memory with the file's bytes in a range without segments. After an error nothing is mapped there.
long MappingWindow::put_file(AddressRange range, const MapRequest& request, FileMapping beside) {
    if (const long error = put_in_pager(range, Access::read_write)) return error;
    if (const long error = fill_from_file(range, request)) {
        static_cast<void>(unmap(range));
        return error;
    }
    set_.set_file_mapping(range, beside);
    return 0;
}

/// Reads the file into pages that are zeros. Pins them meanwhile: the kernel does not wait for absent pages.
long MappingWindow::fill_from_file(AddressRange range, const MapRequest& request) {
    std::uint64_t offset = request.offset;
    while (!range.empty()) {
        const core::PageRange pages{region_.page_of(range.begin),
                                    std::min<std::uint64_t>(pages_of(range).count, kPagesPerRead)};
        const pager::PinnedFront pinned =
            pager_.pin_front(region_, pages, PinFor::writing, pager::PinAmount::fair_share);
        if (pinned.pages == 0) return -pinned.error;
        const std::size_t bytes = region_.offset_of(pinned.pages);
        const sys::Transferred read =
            sys::transfer_to_end("pread of a mapped file", bytes, [&](std::size_t done, std::size_t left) {
                return raw_syscall(SYS_pread64, request.descriptor, range.begin + done, left, offset + done);
            });
        pager_.unpin(region_, {pages.first, pinned.pages});
        if (read.error != 0) return -read.error;
        if (core::align_up(read.bytes, core::kUnitBytes) < bytes) return -EIO;  // the file has become shorter
        range.begin += bytes;
        offset += bytes;
    }
    return 0;
}

// ---- to the kernel

AddressRange MappingWindow::first_file_part(AddressRange range) const noexcept {
    for (const Segment* at = set_.find_from(range.begin); at != nullptr && at->range.begin < range.end;
         at = set_.find_from(at->range.end)) {
        if (at->origin.file_mapping.exists()) return at->range.part_in(range);
    }
    return {};
}

long MappingWindow::restore_files(AddressRange range) {
    long error = 0;
    for (AddressRange part = first_file_part(range); error == 0 && !part.empty(); part = first_file_part(range)) {
        set_.split_at(part);
        const Access access = set_.find_from(part.begin)->origin.access;
        error = give_file_to_kernel(part, false);
        if (error == 0) error = -sys::set_access(core::pointer_to(part.begin), part.bytes(), access);
        if (error == 0) set_.set_access(part, access);
    }
    set_.merge(range);
    return error;
}

/// Moves the file's mapping to a part of one segment, in place of the pager's pages. The memory is writable afterwards.
/// With contents: copies to it first what the program has in the pages. Leaves out pages that the file has lost: an
/// access to them raises SIGBUS, as it would have without the pager.
long MappingWindow::give_file_to_kernel(AddressRange part, bool with_contents) {
    const Origin origin = set_.find_from(part.begin)->origin;
    void* const beside = core::pointer_to(origin.file_mapping.address);
    long error = -sys::set_access(beside, part.bytes(), Access::read_write);
    if (error == 0 && with_contents) {
        error = sys::errno_of([&] { pager_.protector().protect(region_, pages_of(part), Access::read_write); });
        for (std::size_t at = 0; error == 0 && at < part.bytes(); at += core::kUnitBytes) {
            const std::uintptr_t to = origin.file_mapping.address + at;
            if (!sys::is_writable(to)) continue;
            std::memcpy(core::pointer_to(to), core::pointer_to(part.begin + at), core::kUnitBytes);
        }
    }
    if (error == 0) {
        set_.set_file_mapping(part, {});  // it stays when the segment goes
        error = make_room(part);
        if (error != 0) {
            set_.split_at(part);
            set_.set_file_mapping(part, origin.file_mapping);
        }
    }
    if (error != 0) {
        static_cast<void>(sys::advise(beside, part.bytes(), MADV_DONTNEED));
        static_cast<void>(sys::set_access(beside, part.bytes(), Access::read));
        return error;
    }
    const long moved = raw_syscall(SYS_mremap, origin.file_mapping.address, part.bytes(), part.bytes(),
                                   MREMAP_MAYMOVE | MREMAP_FIXED, part.begin);
    if (sys::error_of(moved) != 0) {
        unmap_file(origin.file_mapping, part.bytes());
        return moved;
    }
    sys::OwnPlace::give_back_hole(beside, part.bytes());
    note(part, Keeper::kernel, Access::read_write);
    set_fork_rule(part, origin.fork);
    return 0;
}

/// Unmaps the mappings beside the window of a range's segments. The range's ends are segment boundaries.
void MappingWindow::drop_file_mappings(AddressRange range) noexcept {
    set_.for_each_in(range,
                     [](const Segment& segment) { unmap_file(segment.origin.file_mapping, segment.range.bytes()); });
    set_.set_file_mapping(range, {});
}

}  // namespace faultline::space
