// SlotChunk: which of 512 slots (2 MiB of a swap file) are allotted, and which have blocks in the file system. A value;
// SlotAllocator owns the chunks and guards them by its lock. All zeros is a chunk that was never used.
#pragma once

#include "core/bit_words.hpp"

#include <array>
#include <bit>
#include <cstdint>

namespace faultline::store {

struct SlotChunk {
    static constexpr std::uint32_t kSlots = 512;
    using Bits = std::array<std::uint64_t, kSlots / core::kBitsPerWord>;

    enum class State : std::uint8_t {
        fresh,     ///< Never used, or all its blocks were given back.
        open,      ///< Slots are being allotted from it.
        full,      ///< No slot is free.
        partial,   ///< Some slots are free.
        empty,     ///< All slots are free, and some have blocks.
        punching,  ///< A thread gives blocks back: no slot is allotted meanwhile.
    };

    Bits allotted{};         // slots that a page has
    Bits blocks{};           // slots that may have blocks: set when allotted, cleared when punched
    Bits leaving{};          // freed slots of pages that have other slots in `allotted` that are not free yet
    std::uint32_t next = 0;  // in the list of its state
    std::uint32_t before = 0;
    std::uint16_t used = 0;   // slots in `allotted`
    std::uint16_t waste = 0;  // slots in `blocks` and not in `allotted`
    State state = State::fresh;
    std::uint8_t size_class = 0;  // log2 of the slots of a page; of a chunk in use
    std::uint8_t bucket = 0;      // of a partial chunk: used / kPerBucket when it was listed

    /// Returns the first slot from `from` on whose `bits` differ from zero as `wanted` says, or kSlots.
    [[nodiscard]] static std::uint32_t next_in(const Bits& bits, bool wanted, std::uint32_t from) noexcept {
        return static_cast<std::uint32_t>(
            core::next_one(from, kSlots, [&](std::uint64_t word) { return wanted ? bits[word] : ~bits[word]; }));
    }

    void mark_allotted(std::uint32_t first, std::uint32_t count) noexcept {
        core::for_each_word(first, count, [this](std::uint64_t word, std::uint64_t mask) {
            waste = static_cast<std::uint16_t>(waste - std::popcount(blocks[word] & ~allotted[word] & mask));
            allotted[word] |= mask;
            blocks[word] |= mask;
        });
        used = static_cast<std::uint16_t>(used + count);
    }
    /// Notes that slots of one page are free. Returns all slots of the page if these were the last; count 0 if not.
    struct Run {
        std::uint32_t first = kSlots;
        std::uint32_t count = 0;
    };
    [[nodiscard]] Run mark_leaving(std::uint32_t first, std::uint32_t count) noexcept {
        const std::uint32_t units = std::uint32_t{1} << size_class;
        const Run page{first & ~(units - 1), units};
        if (count == units) return page;
        core::for_each_word(first, count, [this](std::uint64_t word, std::uint64_t mask) { leaving[word] |= mask; });
        if (next_in(leaving, false, page.first) < page.first + units) return {};
        core::for_each_word(page.first, units,
                            [this](std::uint64_t word, std::uint64_t mask) { leaving[word] &= ~mask; });
        return page;
    }
    void mark_free(std::uint32_t first, std::uint32_t count) noexcept {
        core::for_each_word(first, count, [this](std::uint64_t word, std::uint64_t mask) { allotted[word] &= ~mask; });
        used = static_cast<std::uint16_t>(used - count);
        waste = static_cast<std::uint16_t>(waste + count);
    }
    /// The blocks of free slots of the range were given back.
    void mark_punched(std::uint32_t first, std::uint32_t count) noexcept {
        core::for_each_word(first, count, [this](std::uint64_t word, std::uint64_t mask) {
            waste = static_cast<std::uint16_t>(waste - std::popcount(blocks[word] & ~allotted[word] & mask));
            blocks[word] &= ~mask | allotted[word];
        });
    }
    /// Returns the next run of slots from `from` on that are free and have blocks; count 0: none.
    [[nodiscard]] Run next_waste(std::uint32_t from) const noexcept {
        Bits wasted{};
        for (std::size_t word = 0; word < wasted.size(); ++word) wasted[word] = blocks[word] & ~allotted[word];
        const std::uint32_t first = next_in(wasted, true, from);
        return {first, first == kSlots ? 0 : next_in(wasted, false, first) - first};
    }
    /// Returns the next run of slots from `from` on that no page has had since their blocks were given back; count 0:
    /// none. Their blocks may have been allocated ahead.
    [[nodiscard]] Run next_never_used(std::uint32_t from) const noexcept {
        const std::uint32_t first = next_in(blocks, false, from);
        return {first, first == kSlots ? 0 : next_in(blocks, true, first) - first};
    }
    [[nodiscard]] Run next_free(std::uint32_t from) const noexcept {
        const std::uint32_t first = next_in(allotted, false, from);
        return {first, first == kSlots ? 0 : next_in(allotted, true, first) - first};
    }
};

}  // namespace faultline::store
