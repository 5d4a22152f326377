/// @file
/// SegmentInfo, SegmentUsage, Explanation, TableCost: what AddressSpace reports about itself. Plain values, which stay
/// as they are when the space changes.
#pragma once

#include <faultline/language.hpp>

#include <faultline/export.hpp>
#include <faultline/names.hpp>
#include <faultline/types.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace faultline {
inline namespace v0 {

/// The kinds of segments.
enum class SegmentKind : std::uint8_t {
    image,      ///< Text or data of the program's file.
    bss,        ///< The program's zero-initialised data.
    heap,       ///< From the heap's begin to the break.
    anonymous,  ///< A mapping of zeros.
    file,       ///< A mapping of a file.
    stack,      ///< From the lowest page that was touched to the stack's end.
};

/// A run of pages with one origin and one protection.
struct SegmentInfo {
    std::uintptr_t begin = 0;                   ///< Address of the first byte.
    std::uintptr_t end = 0;                     ///< Address after the last page.
    SegmentKind kind = SegmentKind::anonymous;  ///< What the segment is.
    Access access = Access::none;               ///< The accesses that it allows.
    bool shared = false;                        ///< True for a shared mapping of a file.
    std::string name;                           ///< Name, as given when it was mapped.
    std::string file;                           ///< Path of the file; empty: no file.
    std::uint64_t file_offset = 0;              ///< Offset of the first page in the file, in bytes.
    std::uint64_t device = 0;                   ///< The file's device number, as stat(2) reports it.
    std::uint64_t inode = 0;                    ///< The file's inode number.

    /// Returns the size in bytes.
    [[nodiscard]] std::size_t bytes() const noexcept { return end - begin; }
};

/// How many bytes of a segment are in which state.
struct SegmentUsage {
    std::uint64_t resident = 0;    ///< Mapped for the program.
    std::uint64_t dirty = 0;       ///< Resident or staged, and newer than the copy in the file or the swap store.
    std::uint64_t staged = 0;      ///< Unmapped, frame still held.
    std::uint64_t compressed = 0;  ///< In compressed memory only; counted with their uncompressed size.
    std::uint64_t swapped = 0;     ///< In the swap file only.
};

/// Explains one address. The state of the page may change during and after the call.
struct Explanation {
    std::uintptr_t address = 0;               ///< The address explained.
    bool canonical = false;                   ///< Bits 47 to 63 are equal. The CPU faults on any other address.
    bool user = false;                        ///< In the lower half of the addresses, which programs may use.
    std::array<unsigned, 4> table_indices{};  ///< Index in each of the four page table levels, root first; 9 bits each.
    unsigned offset = 0;                      ///< Offset in the page; 12 bits.
    std::optional<SegmentInfo> segment;       ///< The segment of the address, if there is one.
    std::string page_state;                   ///< "untouched", "resident, dirty"...; empty without a segment.
    std::string bytes_are;  ///< Where the bytes are: "in its frame", "in /usr/bin/true at byte 4096"...

    /// Returns the explanation as a few lines of text.
    [[nodiscard]] FAULTLINE_API std::string text() const;
};

/// What page tables for a space cost, in bytes.
struct TableCost {
    std::uint64_t single_level = 0;      ///< A flat table: 8 bytes for each page of a 48-bit address space.
    std::uint64_t four_levels = 0;       ///< The CPU's four-level table for the pages in memory now.
    std::uint64_t four_levels_full = 0;  ///< The same table if every page of every segment were in memory.
    std::uint64_t page_words = 0;        ///< faultline's own metadata of the pages, resident or not.
};

/// @cond
template <>
FAULTLINE_API std::span<const char* const> names<SegmentKind>() noexcept;
/// @endcond

}  // namespace v0
}  // namespace faultline
