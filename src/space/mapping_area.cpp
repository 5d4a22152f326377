#include "space/mapping_area.hpp"

#include "core/units.hpp"
#include "space/page_ranges.hpp"
#include "space/shared_file.hpp"
#include "sys/error.hpp"

#include <cerrno>
#include <string>

namespace faultline::space {

AddressRange MappingArea::choose_range(std::size_t bytes, const MapOptions& options) const {
    const std::size_t size = whole_pages(bytes);
    if (bytes == 0 || size < bytes)
        sys::throw_error(EINVAL,
                         "cannot map " + std::to_string(bytes) + " bytes: 0 bytes, or more than there are addresses");
    if (options.address == nullptr) {
        if (const auto end = segments_.set().highest_gap(size, range_)) return {*end - size, *end};
        sys::throw_error(ENOMEM, "cannot map " + sys::readable_bytes(size) +
                                     ": the mapping area has no such gap; raise Layout::mapping_bytes");
    }
    const AddressRange range = checked_range(core::address_of(options.address), size, "map at this address");
    segments_.arenas().require(range, "map at this address");
    if (segments_.set().is_free(range)) return range;
    if (!options.replace)
        sys::throw_error(EEXIST,
                         "cannot map at this address: something is mapped there; unmap it, or set MapOptions::replace");
    return range;
}

std::uintptr_t MappingArea::map(std::size_t bytes, Origin origin, const MapOptions& options) {
    origin.access = options.access;
    if (!options.name.empty()) origin.name = options.name;
    const AddressRange range = choose_range(bytes, options);
    if (origin.shared && options.access == Access::read_write) require_writable(*origin.file);
    if (origin.file && origin.file_offset > Origin::kNoLimit / 2 - range.bytes()) {
        sys::throw_error(EINVAL, "cannot map a file at offset " + std::to_string(origin.file_offset) +
                                     ": offset and size together must be below 2^63");
    }
    if (origin.shared) origin.pages = SharedFile::of(pager_, origin.file);
    if (!segments_.set().is_free(range)) unmap(range);
    segments_.add(range, origin);
    return range.begin;
}

void MappingArea::unmap(std::uintptr_t address, std::size_t bytes) {
    const AddressRange range = checked_range(address, bytes, "unmap");
    segments_.arenas().require(range, "unmap");
    unmap(range);
}

void MappingArea::unmap(AddressRange range) {
    segments_.set().for_each_in(range, [](const Segment& segment) {
        const SegmentKind kind = segment.origin.kind;
        if (kind == SegmentKind::heap || kind == SegmentKind::stack) {
            sys::throw_error(EINVAL, std::string("cannot unmap the ") + name(kind) +
                                         (kind == SegmentKind::heap ? ": lower the break instead" : ""));
        }
    });
    segments_.split_and_remove(range);
}

void require_writable(const SourceFile& file) {
    if (file.writable()) return;
    sys::throw_error(EACCES, "cannot write to the shared mapping of " + file.path() +
                                 ": the file must be open for reading and writing, and not for appending (O_APPEND)");
}

}  // namespace faultline::space
