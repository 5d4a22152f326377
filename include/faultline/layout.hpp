// Layout: where an address space has its parts, and the size of each. ClonePlace: where a clone has them. ImageSegment:
// one part of a program from a file, as the program headers of an executable describe it. These are values, which
// programs pass to AddressSpace; nothing here maps anything.
#pragma once

#include <faultline/language.hpp>

#include <faultline/types.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

namespace faultline {
inline namespace v0 {

/// The layout of an address space. A space has two address ranges. Each is reserved as a whole; the process's other
/// mappings lie outside of them:
///
///     low   | image: text, data, bss |  random gap  | heap ->                  |
///     high  | <- mapping area                 |  random gap  | guard | <- stack |
///
/// All sizes are in bytes and are rounded up to whole pages. They are sizes of address ranges, which cost no memory.
struct Layout {
    // Bits of entropy of a random layout. They choose a page; all pages are equally probable.
    static constexpr unsigned kImageEntropyBits = 32;    ///< Begin of the image: one of 2^32 pages from 32 TiB on.
    static constexpr unsigned kHeapEntropyBits = 18;     ///< Gap between image and heap: less than 1 GiB.
    static constexpr unsigned kStackEntropyBits = 32;    ///< End of the stack: one of 2^32 pages from 64 TiB on.
    static constexpr unsigned kMappingEntropyBits = 18;  ///< Gap between mapping area and stack: less than 1 GiB.

    /// Begin of the low range and of the image. 0: random. Set it for a program that is linked for a fixed address. The
    /// space's constructor throws EEXIST if the process has something mapped there.
    std::uintptr_t image_address = 0;

    /// Begin of the high range. 0: random.
    std::uintptr_t mapping_address = 0;

    /// False: no random gaps, so that the same image gets the same addresses each time. Both addresses must be given.
    bool random_gaps = true;

    std::size_t heap_limit = std::size_t{16} << 30;     ///< Maximum size of the heap, in bytes.
    std::size_t mapping_bytes = std::size_t{64} << 30;  ///< Size of the mapping area, in bytes.
    std::size_t stack_limit = std::size_t{8} << 20;     ///< Maximum size of the stack, in bytes.
    std::size_t stack_guard = std::size_t{1} << 20;     ///< Size of the guard below the stack's limit, in bytes.

    /// The default `base` of `fixed`.
    static constexpr std::uintptr_t kFixedBase = 0x7e90'0000'0000;
    /// The distance between the begins of the two ranges of a fixed layout, in bytes.
    static constexpr std::uintptr_t kFixedDistance = std::uintptr_t{64} << 30;
    /// Returns a layout with the same addresses each time. The low range begins at `base`, a multiple of 4 KiB, and the
    /// high range `kFixedDistance` above it. Spaces that live at the same time need different bases.
    [[nodiscard]] static Layout fixed(std::uintptr_t base = kFixedBase) {
        Layout layout;
        layout.image_address = base;
        layout.mapping_address = base + kFixedDistance;
        layout.random_gaps = false;
        return layout;
    }
};

/// Where a clone has its two ranges, as in `Layout`.
struct ClonePlace {
    std::uintptr_t image_address = 0;    ///< Begin of the low range. 0: random.
    std::uintptr_t mapping_address = 0;  ///< Begin of the high range. 0: random.
};

/// One loadable part of a program. It has `file_bytes` bytes of the file, from `file_offset` on, at `address`, and
/// zeros after them up to `memory_bytes`. `address` and `file_offset` are equal modulo 4 KiB: as with mmap(2), whole
/// pages of the file are mapped, and a page is read when it is accessed. The file is never written: the program's
/// changes go to the swap store.
struct ImageSegment {
    std::string name;                ///< Name for maps and violations: "text", "data".
    std::filesystem::path file{};    ///< Opened for reading; may be renamed or removed afterwards. Empty: zeros only.
    std::uint64_t file_offset = 0;   ///< Where the part begins in the file, in bytes.
    std::uint64_t file_bytes = 0;    ///< How many bytes come from the file.
    std::uint64_t address = 0;       ///< Where the part begins, in bytes from the image's begin.
    std::uint64_t memory_bytes = 0;  ///< The size in memory, in bytes; at least `file_bytes`.
    Access access = Access::read_execute;  ///< The accesses that the part allows.
};

}  // namespace v0
}  // namespace faultline
