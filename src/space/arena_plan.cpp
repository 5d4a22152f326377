#include "space/arena_plan.hpp"

#include "core/units.hpp"
#include "space/page_ranges.hpp"
#include "sys/error.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <string>

namespace faultline::space {

namespace {

constexpr std::size_t kPage = core::kUnitBytes;

void require_possible(const Layout& layout) {
    const auto refuse = [](const char* why) { sys::throw_error(EINVAL, std::string("invalid Layout: ") + why); };
    if (layout.image_address % kPage != 0 || layout.mapping_address % kPage != 0) {
        refuse("image_address and mapping_address must be multiples of 4 KiB");
    }
    if (layout.heap_limit > kMostArenaBytes || layout.mapping_bytes > kMostArenaBytes ||
        layout.stack_limit > kMostArenaBytes || layout.stack_guard > kMostArenaBytes) {
        refuse("heap_limit, mapping_bytes, stack_limit and stack_guard must be at most 8 TiB each");
    }
    if (layout.mapping_bytes == 0 || layout.stack_limit == 0 || layout.stack_guard == 0) {
        refuse("mapping_bytes, stack_limit and stack_guard must be at least a page");
    }
    if (!layout.random_gaps && (layout.image_address == 0 || layout.mapping_address == 0)) {
        refuse("without random_gaps, both addresses must be given (image_address, mapping_address)");
    }
}

}  // namespace

std::size_t image_bytes(std::span<const ImageSegment> image) {
    std::uint64_t end = 0;
    for (const ImageSegment& part : image) {
        const auto refuse = [&](const char* why) {
            sys::throw_error(EINVAL, "cannot load the image segment \"" + part.name + "\": " + why);
        };
        if (part.memory_bytes == 0) refuse("memory_bytes is 0: it has no bytes");
        if (part.file_bytes > part.memory_bytes)
            refuse("file_bytes is larger than memory_bytes: the file has more of it than memory");
        if (part.file.empty() && part.file_bytes > 0) refuse("file_bytes is not 0, but no file is given");
        if (part.file_bytes > 0 && part.address % kPage != part.file_offset % kPage) {
            refuse("its address and its offset in the file differ modulo 4 KiB");
        }
        if (part.memory_bytes > part.file_bytes && part.access != Access::read_write && part.file_bytes > 0) {
            refuse("only a writable segment (Access::read_write) can have zeros after the file's bytes");
        }
        if (part.address > kMostArenaBytes || part.memory_bytes > kMostArenaBytes ||
            part.file_offset > (std::uint64_t{1} << 62)) {
            refuse("its address or size is above 8 TiB, or its file offset above 2^62");
        }
        end = std::max(end, part.address + part.memory_bytes);
    }
    return whole_pages(end);
}

/// The low arena also has room for the heap's random gap and for the free page above the heap; the high arena for the
/// mappings' random gap.
ArenaPlan plan_arenas(std::span<const ImageSegment> image, const Layout& layout) {
    require_possible(layout);
    const std::size_t heap_gap = layout.random_gaps ? kPage << Layout::kHeapEntropyBits : 0;
    const std::size_t mapping_gap = layout.random_gaps ? kPage << Layout::kMappingEntropyBits : 0;
    return {.low_bytes = image_bytes(image) + heap_gap + whole_pages(layout.heap_limit) + kPage,
            .high_bytes = whole_pages(layout.mapping_bytes) + mapping_gap + whole_pages(layout.stack_guard) +
                          whole_pages(layout.stack_limit),
            .place = {layout.image_address, layout.mapping_address}};
}

}  // namespace faultline::space
