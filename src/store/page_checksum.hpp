// Checksums of pages and blocks, all by XXH3. The store keeps one of each block that left memory, so that a read never
// gives wrong bytes. PageChecksum tells whether a page that was mapped writable has changed: PageFill computes it when
// the page comes in, Stager when it leaves.
#pragma once

#include "core/signal_safe.hpp"
#include "store/slot_word.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace faultline::store {

/// Two pages with the same checksum are taken for the same, so it has 128 bits: a collision would lose a write.
struct PageChecksum {
    std::uint64_t low;
    std::uint64_t high;

    friend bool operator==(const PageChecksum&, const PageChecksum&) noexcept = default;
};

/// Returns the 128-bit XXH3 checksum. Takes about 0.3 us for 4 KiB.
[[nodiscard]] PageChecksum page_checksum_of(std::span<const std::byte> bytes) FAULTLINE_SIGNAL_SAFE;

/// Returns the seed for the checksums of a slot's bytes. Bytes of another slot then fail the check.
[[nodiscard]] constexpr std::uint64_t seed_of(SlotNumber slot) noexcept {
    return slot * std::uint64_t{0x9e37'79b9'7f4a'7c15U};  // odd: different slots have different seeds
}

/// Returns the 64-bit XXH3 checksum of a block.
[[nodiscard]] std::uint64_t checksum_of(std::span<const std::byte> bytes, std::uint64_t seed) FAULTLINE_SIGNAL_SAFE;

}  // namespace faultline::store
