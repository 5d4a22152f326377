// What an address space says of itself: its segments, what they take, where one address leads, and what page tables
// cost. Plain values, copied out.
#pragma once

#include <faultline/language.hpp>

#include <faultline/export.hpp>
#include <faultline/types.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace faultline {

enum class SegmentKind : std::uint8_t {
    image,      ///< Of the program's file: text or data.
    bss,        ///< The program's zeros.
    heap,       ///< What brk has given.
    anonymous,  ///< A mapping of zeros.
    file,       ///< A mapping of a file.
    stack,      ///< From the lowest page that was touched to the end.
};

/// A run of pages with one origin and one protection.
struct SegmentInfo {
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;  ///< Of the last page.
    SegmentKind kind = SegmentKind::anonymous;
    Access access = Access::none;
    bool shared = false;
    std::string name;
    std::string file;               ///< Path; empty: none.
    std::uint64_t file_offset = 0;  ///< Of the first page.
    std::uint64_t device = 0;       ///< Of the file, as stat(2) has it.
    std::uint64_t inode = 0;

    [[nodiscard]] std::size_t bytes() const noexcept { return end - begin; }
};

/// What a segment's pages take, in bytes.
struct SegmentUsage {
    std::uint64_t resident = 0;    ///< In the program's view.
    std::uint64_t dirty = 0;       ///< Of the resident and staged ones: newer than the file or the swap store.
    std::uint64_t staged = 0;      ///< Off the view, frame still held.
    std::uint64_t compressed = 0;  ///< Only in compressed memory (their bytes before).
    std::uint64_t swapped = 0;     ///< Only in the swap file.
};

/// Where an address leads. Page states change while one looks.
struct Explanation {
    std::uintptr_t address = 0;
    bool canonical = false;                   ///< Bits 47 to 63 are alike; else the CPU takes it for no address.
    bool user = false;                        ///< In the half of the addresses that programs have.
    std::array<unsigned, 4> table_indices{};  ///< Of the four levels, the root's first; 9 bits each.
    unsigned offset = 0;                      ///< In the page; 12 bits.
    std::optional<SegmentInfo> segment;       ///< None: no segment is there.
    std::string page_state;                   ///< "untouched", "resident, dirty"...; empty without a segment.
    std::string bytes_are;                    ///< "in its frame", "in /usr/bin/true at byte 4096"...

    /// All of it in a few lines.
    [[nodiscard]] FAULTLINE_API std::string text() const;
};

/// What page tables for the space cost, in bytes.
struct TableCost {
    std::uint64_t single_level = 0;      ///< One entry of 8 bytes for each page that 48 bits can name.
    std::uint64_t four_levels = 0;       ///< As the CPU has them, for the pages that are in memory now.
    std::uint64_t four_levels_full = 0;  ///< The same if every page of every segment were.
    std::uint64_t page_words = 0;        ///< What faultline keeps of the pages, resident or not.
};

/// "image", "bss"... Never null. Signal-safe.
FAULTLINE_API const char* name(SegmentKind kind) noexcept;

}  // namespace faultline
