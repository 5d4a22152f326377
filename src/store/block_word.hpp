// BlockWord: the location of one block's bytes in a compressed store, in 64 bits, changed only by compare-exchange. A
// reader that finds a block in the pool pins its segment and loads the word again. If the word is unchanged, the bytes
// are valid until the reader unpins the segment.
//
//   bits 0-1   place           bits 4-26   generation: counts the writes of the block
//   bit  2     busy            bits 27-63  slot: segment (24 bits) and offset in it (13 bits, of 8 bytes)
//   bit  3     has_behind
//
// Invariants:
//   busy         one thread writes the block to the store behind and will clear the flag; no other thread writes it
//                there, so no older write follows a newer one. All other changes are allowed meanwhile.
//   has_behind   the store behind may hold space in the file for the block, current or not
//   checksum     (beside the word) belongs to `behind`; only the thread that has set `busy` changes it
//
// A block that was never written has the word 0, so an untouched table takes no memory.
#pragma once

#include "core/check.hpp"

#include <cstddef>
#include <cstdint>

namespace faultline::store {

enum class BlockPlace : std::uint8_t {
    nothing,  ///< The block has no valid bytes.
    pool,     ///< Compressed in memory, in the slot.
    behind,   ///< In the store behind.
    lost,     ///< A write failed or memory was corrupted. The bytes are lost, and reads fail.
};

/// The location of an entry in the pool's memory.
struct PoolSlot {
    std::uint32_t segment = 0;
    std::uint32_t offset = 0;  ///< In bytes from the segment's begin; a multiple of 8.
    friend constexpr bool operator==(const PoolSlot&, const PoolSlot&) noexcept = default;
};

class BlockWord {
public:
    static constexpr std::uint32_t kMostSegments = std::uint32_t{1} << 24;
    static constexpr std::size_t kSlotAlignment = 8;
    static constexpr std::size_t kMostSegmentBytes = kSlotAlignment << 13;

    constexpr BlockWord() noexcept = default;
    constexpr explicit BlockWord(std::uint64_t bits) noexcept : bits_{bits} {}

    [[nodiscard]] constexpr std::uint64_t bits() const noexcept { return bits_; }
    [[nodiscard]] constexpr BlockPlace place() const noexcept { return static_cast<BlockPlace>(bits_ & kPlaceMask); }
    [[nodiscard]] constexpr bool is(BlockPlace place_wanted) const noexcept { return place() == place_wanted; }
    [[nodiscard]] constexpr bool busy() const noexcept { return (bits_ & kBusy) != 0; }
    [[nodiscard]] constexpr bool has_behind() const noexcept { return (bits_ & kHasBehind) != 0; }
    [[nodiscard]] constexpr std::uint32_t generation() const noexcept {
        return static_cast<std::uint32_t>(bits_ >> kGenerationShift) & kGenerationMask;
    }
    [[nodiscard]] constexpr PoolSlot slot() const noexcept {
        const std::uint64_t bits = bits_ >> kSlotShift;
        return {static_cast<std::uint32_t>(bits >> 13), static_cast<std::uint32_t>(bits & 0x1fffU) * 8};
    }
    [[nodiscard]] constexpr bool in(PoolSlot wanted) const noexcept { return is(BlockPlace::pool) && slot() == wanted; }
    friend constexpr bool operator==(const BlockWord&, const BlockWord&) noexcept = default;

    // The legal transitions. Each asserts that the word is in the right state.

    /// Returns the generation of the next write.
    [[nodiscard]] constexpr std::uint32_t next_generation() const noexcept {
        return (generation() + 1) & kGenerationMask;
    }
    /// A newer version is in the pool.
    [[nodiscard]] constexpr BlockWord stored_in(PoolSlot slot) const noexcept {
        return newer().with_place(BlockPlace::pool).with_slot(slot);
    }
    /// The same version moved to another slot of the pool.
    [[nodiscard]] constexpr BlockWord moved_to(PoolSlot slot) const noexcept {
        FAULTLINE_INVARIANT(is(BlockPlace::pool));
        return with_slot(slot);
    }
    /// A thread writes the newest version to the store behind. Until it has arrived the block has no bytes.
    [[nodiscard]] constexpr BlockWord claimed_for_write() const noexcept {
        FAULTLINE_INVARIANT(!busy());
        return newer().discarded().with_flag(kBusy, true).with_flag(kHasBehind, true);
    }
    [[nodiscard]] constexpr BlockWord written() const noexcept {
        FAULTLINE_INVARIANT(busy() && is(BlockPlace::nothing));
        return with_place(BlockPlace::behind).released();
    }
    [[nodiscard]] constexpr BlockWord write_failed() const noexcept {
        FAULTLINE_INVARIANT(busy() && is(BlockPlace::nothing));
        return with_place(BlockPlace::lost).released();
    }
    /// A thread writes the bytes in the pool to the store behind. They stay in the pool meanwhile.
    [[nodiscard]] constexpr BlockWord claimed_for_spill() const noexcept {
        FAULTLINE_INVARIANT(!busy() && is(BlockPlace::pool));
        return with_flag(kBusy, true).with_flag(kHasBehind, true);
    }
    [[nodiscard]] constexpr BlockWord spilled() const noexcept {
        FAULTLINE_INVARIANT(busy() && is(BlockPlace::pool));
        return with_place(BlockPlace::behind).with_slot({}).released();
    }
    /// The spill failed, or the spilled version is no longer the newest.
    [[nodiscard]] constexpr BlockWord released() const noexcept {
        FAULTLINE_INVARIANT(busy());
        return with_flag(kBusy, false);
    }
    /// The thread that spills the block found its copy in memory damaged.
    [[nodiscard]] constexpr BlockWord damaged() const noexcept {
        FAULTLINE_INVARIANT(busy() && is(BlockPlace::pool));
        return with_place(BlockPlace::lost).with_slot({}).released();
    }
    /// The bytes are no longer valid. The generation keeps counting.
    [[nodiscard]] constexpr BlockWord discarded() const noexcept {
        return with_place(BlockPlace::nothing).with_slot({});
    }
    /// The store behind has discarded the block, too.
    [[nodiscard]] constexpr BlockWord emptied_behind() const noexcept {
        FAULTLINE_INVARIANT(!busy() && is(BlockPlace::nothing));
        return with_flag(kHasBehind, false);
    }

private:
    static constexpr std::uint64_t kPlaceMask = 3;
    static constexpr std::uint64_t kBusy = 1U << 2;
    static constexpr std::uint64_t kHasBehind = 1U << 3;
    static constexpr unsigned kGenerationShift = 4;
    static constexpr std::uint32_t kGenerationMask = (std::uint32_t{1} << 23) - 1;
    static constexpr unsigned kSlotShift = 27;

    [[nodiscard]] constexpr BlockWord newer() const noexcept {
        const std::uint64_t others = bits_ & ~(std::uint64_t{kGenerationMask} << kGenerationShift);
        return BlockWord{others | std::uint64_t{next_generation()} << kGenerationShift};
    }
    [[nodiscard]] constexpr BlockWord with_place(BlockPlace place) const noexcept {
        return BlockWord{(bits_ & ~kPlaceMask) | static_cast<std::uint64_t>(place)};
    }
    [[nodiscard]] constexpr BlockWord with_flag(std::uint64_t flag, bool on) const noexcept {
        return BlockWord{on ? bits_ | flag : bits_ & ~flag};
    }
    [[nodiscard]] constexpr BlockWord with_slot(PoolSlot slot) const noexcept {
        const std::uint64_t bits = std::uint64_t{slot.segment} << 13 | slot.offset / kSlotAlignment;
        return BlockWord{(bits_ & ((std::uint64_t{1} << kSlotShift) - 1)) | bits << kSlotShift};
    }

    std::uint64_t bits_ = 0;
};

}  // namespace faultline::store
