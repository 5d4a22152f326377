// SlotWord: where the bytes of one slot are, in 64 bits, changed only by compare-exchange. Bytes that a slot has do not
// change until the slot is free again: a page that is written again gets another slot.
//
//   bits 0-2   place
//   bits 3-39  address of the entry in memory: segment (24 bits), offset in it (13 bits, of 8 bytes)
//   bits 3-63  or, in the file: 61 bits of the checksum of the bytes
//
//   unused -> open -> memory -> spilling -> file -> unused     memory, file, both, lost -> unused: the last user has
//               |-> file          |-> memory, lost             gone
//                                 dropped -> unused            spilling -> dropped: it has gone, the spill has not
//                                 ended
//                                           file <-> both
//
// The word of a slot that was never used is 0, so untouched slots need no memory.
#pragma once

#include "core/check.hpp"

#include <cstddef>
#include <cstdint>

namespace faultline::store {

/// One slot: 4 KiB of a swap file. 0: no slot.
using SlotNumber = std::uint32_t;
inline constexpr SlotNumber kNoSlot = 0;
/// The slots of a block of a page that has as many, or more: the bytes that are compressed, checked and read in one
/// piece. The block's first slot has its word.
inline constexpr std::uint32_t kBlockSlots = 4;

enum class SlotPlace : std::uint8_t {
    unused,    ///< No location names the slot.
    open,      ///< Allotted to a page whose bytes are not there yet.
    memory,    ///< The bytes are compressed in memory.
    spilling,  ///< In memory, and one thread is writing them to the file.
    dropped,   ///< Like spilling, but no location names the slot any more.
    file,      ///< The bytes are in the slot's part of the file.
    lost,      ///< The bytes in memory were damaged. Reads fail.
    both,      ///< The bytes are in the file, and a compressed copy is in memory.
};

/// The address of an entry in the memory of compressed blocks.
struct EntryAddress {
    std::uint32_t segment = 0;
    std::uint32_t offset = 0;  ///< In bytes from the segment's begin; a multiple of 8.
    friend constexpr bool operator==(const EntryAddress&, const EntryAddress&) noexcept = default;
};

class SlotWord {
public:
    static constexpr std::uint32_t kMostSegments = std::uint32_t{1} << 24;
    static constexpr std::size_t kEntryAlignment = 8;
    static constexpr std::size_t kMostSegmentBytes = kEntryAlignment << 13;

    constexpr SlotWord() noexcept = default;
    constexpr explicit SlotWord(std::uint64_t bits) noexcept : bits_{bits} {}

    [[nodiscard]] static constexpr SlotWord open() noexcept { return SlotWord{std::uint64_t{1}}; }
    [[nodiscard]] static constexpr SlotWord in_memory(EntryAddress at) noexcept {
        const std::uint64_t address = std::uint64_t{at.segment} << 13 | at.offset / kEntryAlignment;
        return SlotWord{address << kPlaceBits | static_cast<std::uint64_t>(SlotPlace::memory)};
    }
    [[nodiscard]] static constexpr SlotWord in_both(EntryAddress at) noexcept {
        return in_memory(at).with_place(SlotPlace::both);
    }
    /// Keeps 61 bits of the checksum.
    [[nodiscard]] static constexpr SlotWord in_file(std::uint64_t checksum) noexcept {
        return SlotWord{checksum << kPlaceBits | static_cast<std::uint64_t>(SlotPlace::file)};
    }

    [[nodiscard]] constexpr std::uint64_t bits() const noexcept { return bits_; }
    [[nodiscard]] constexpr SlotPlace place() const noexcept { return static_cast<SlotPlace>(bits_ & kPlaceMask); }
    [[nodiscard]] constexpr bool is(SlotPlace wanted) const noexcept { return place() == wanted; }
    /// Returns true if the bytes are in memory, at entry().
    [[nodiscard]] constexpr bool has_entry() const noexcept {
        return is(SlotPlace::memory) || is(SlotPlace::spilling) || is(SlotPlace::dropped) || is(SlotPlace::both);
    }
    [[nodiscard]] constexpr EntryAddress entry() const noexcept {
        const std::uint64_t address = bits_ >> kPlaceBits;
        return {static_cast<std::uint32_t>(address >> 13),
                static_cast<std::uint32_t>(address & 0x1fffU) * static_cast<std::uint32_t>(kEntryAlignment)};
    }
    [[nodiscard]] constexpr bool in(EntryAddress wanted) const noexcept { return has_entry() && entry() == wanted; }
    /// Returns true if `checksum` is that of the bytes in the file.
    [[nodiscard]] constexpr bool matches(std::uint64_t checksum) const noexcept { return *this == in_file(checksum); }
    friend constexpr bool operator==(const SlotWord&, const SlotWord&) noexcept = default;

    // The legal transitions. Each asserts the place that it starts from.

    [[nodiscard]] constexpr SlotWord moved_to(EntryAddress at) const noexcept {
        FAULTLINE_INVARIANT(is(SlotPlace::memory) || is(SlotPlace::both));
        return in_memory(at).with_place(place());
    }
    [[nodiscard]] constexpr SlotWord copied_to(EntryAddress at) const noexcept {
        FAULTLINE_INVARIANT(is(SlotPlace::file));
        return in_both(at);
    }
    [[nodiscard]] constexpr SlotWord copy_dropped(std::uint64_t checksum) const noexcept {
        FAULTLINE_INVARIANT(is(SlotPlace::both));
        return in_file(checksum);
    }
    [[nodiscard]] constexpr SlotWord claimed_for_spill() const noexcept {
        FAULTLINE_INVARIANT(is(SlotPlace::memory));
        return with_place(SlotPlace::spilling);
    }
    [[nodiscard]] constexpr SlotWord spilled(std::uint64_t checksum) const noexcept {
        FAULTLINE_INVARIANT(is(SlotPlace::spilling));
        return in_file(checksum);
    }
    [[nodiscard]] constexpr SlotWord spill_failed() const noexcept {
        FAULTLINE_INVARIANT(is(SlotPlace::spilling));
        return with_place(SlotPlace::memory);
    }
    [[nodiscard]] constexpr SlotWord damaged() const noexcept {
        FAULTLINE_INVARIANT(is(SlotPlace::spilling));
        return SlotWord{static_cast<std::uint64_t>(SlotPlace::lost)};
    }
    /// The last user has gone.
    [[nodiscard]] constexpr SlotWord released() const noexcept {
        FAULTLINE_INVARIANT(!is(SlotPlace::unused) && !is(SlotPlace::dropped));
        return is(SlotPlace::spilling) ? with_place(SlotPlace::dropped) : SlotWord{};
    }

private:
    static constexpr unsigned kPlaceBits = 3;
    static constexpr std::uint64_t kPlaceMask = (1U << kPlaceBits) - 1;

    [[nodiscard]] constexpr SlotWord with_place(SlotPlace place) const noexcept {
        return SlotWord{(bits_ & ~kPlaceMask) | static_cast<std::uint64_t>(place)};
    }

    std::uint64_t bits_ = 0;
};

}  // namespace faultline::store
