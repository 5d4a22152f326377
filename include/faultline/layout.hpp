// Layout: where an address space has its parts, and how much room each gets. ImageSegment: a part of a program that
// comes from a file, as the program headers of an executable say it. Values; nothing here maps anything.
#pragma once

#include <faultline/language.hpp>

#include <faultline/types.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

namespace faultline {

/// A space has two ranges of addresses, each reserved as a whole, with everything else of the process's beside them:
///
///     low   | image: text, data, bss |  random gap  | heap ->                  |
///     high  | <- mapping area                 |  random gap  | guard | <- stack |
///
/// All sizes are in bytes and are rounded up to whole pages; addresses only, they cost no memory.
struct Layout {
    // Bits of entropy, where the layout is random: of the page that the thing begins at, all equally probable.
    static constexpr unsigned kImageEntropyBits = 32;    ///< Where the image begins: one of 2^32 pages from 32 TiB on.
    static constexpr unsigned kHeapEntropyBits = 18;     ///< How far after the image the heap begins: less than 1 GiB.
    static constexpr unsigned kStackEntropyBits = 32;    ///< Where the stack ends: one of 2^32 pages from 64 TiB on.
    static constexpr unsigned kMappingEntropyBits = 18;  ///< How far below the stack mappings begin: less than 1 GiB.

    /// Where the low range begins, and the image with it. 0: at random. A program that is linked for an address needs
    /// it here; EEXIST if the process has something there.
    std::uintptr_t image_address = 0;

    /// Where the high range begins. 0: at random.
    std::uintptr_t mapping_address = 0;

    /// False: no gaps, and the same addresses for the same image each time. Both addresses must be given.
    bool random_gaps = true;

    std::size_t heap_limit = std::size_t{16} << 30;     ///< The most that brk gives.
    std::size_t mapping_bytes = std::size_t{64} << 30;  ///< Room for mappings.
    std::size_t stack_limit = std::size_t{8} << 20;     ///< The most that the stack may grow to.
    std::size_t stack_guard = std::size_t{1} << 20;     ///< Below the stack's limit, for ever unmapped.

    /// The same addresses each time. Spaces that live at once need different ones: `base` is a multiple of 4 KiB, and
    /// the low range begins there, the high range `kFixedDistance` above it.
    static constexpr std::uintptr_t kFixedBase = 0x7e90'0000'0000;
    static constexpr std::uintptr_t kFixedDistance = std::uintptr_t{64} << 30;
    [[nodiscard]] static Layout fixed(std::uintptr_t base = kFixedBase) {
        Layout layout;
        layout.image_address = base;
        layout.mapping_address = base + kFixedDistance;
        layout.random_gaps = false;
        return layout;
    }
};

/// Where a clone has its two ranges, as in `Layout`. 0: at random.
struct ClonePlace {
    std::uintptr_t image_address = 0;
    std::uintptr_t mapping_address = 0;
};

/// One loadable part of a program: `file_bytes` of the file from `file_offset` on, at `address`, and zeros after them
/// up to `memory_bytes`, whatever the file has there. `address` and `file_offset` are the same modulo 4 KiB: whole
/// pages of the file are mapped, as mmap(2) does it, and only pages that are asked for are read. The file is never
/// written: what the program changes goes to the swap store.
struct ImageSegment {
    std::string name;              ///< For maps and violations: "text", "data".
    std::filesystem::path file{};  ///< Opened for reading, and not needed by its name afterwards. Empty: zeros only.
    std::uint64_t file_offset = 0;
    std::uint64_t file_bytes = 0;
    std::uint64_t address = 0;  ///< In bytes from the image's begin.
    std::uint64_t memory_bytes = 0;
    Access access = Access::read_execute;
};

}  // namespace faultline
