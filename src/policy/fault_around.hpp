// FaultAround: says whether a fault that waits for a disk should read the pages around its page, too. A disk reads
// eight pages in about the time of one. But each page that the program does not use takes a frame from one that it
// does.
//
// The rule measures what it would gain. Pages are grouped in blocks of eight, and one block in sixteen belongs to a
// control group: its pages are always read alone. If a fault there follows an earlier one in the same block within the
// time that a page stays resident, then reading the whole block at the earlier fault would have saved it. While that
// holds for most faults of the control group, faults in all other blocks read their whole block.
//
// Pure logic over page numbers. The caller serialises. Signal-safe.
#pragma once

#include "core/signal_safe.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace faultline::policy {

class FaultAround {
public:
    /// Pages of a block, which begins at a multiple of so many pages.
    static constexpr std::uint64_t kPages = 8;

    /// Records a fault that waits for a disk, and returns true if it should read its block. `page`: its number
    /// (core::PageRef::bits). `now`: the number of evictions so far. `frames`: the pages that can be resident.
    [[nodiscard]] bool on_fault(std::uint64_t page, std::uint64_t now, std::uint64_t frames) FAULTLINE_SIGNAL_SAFE {
        const std::uint64_t block = page / kPages;
        const std::uint64_t hash = block * 0x9e37'79b9'7f4a'7c15;  // Fibonacci hashing: Knuth, TAOCP 3, 6.4
        if (hash >> kGroupShift != 0) return pays_;
        judge(leaders_[hash >> kEntryShift & (kEntries - 1)], static_cast<std::uint32_t>(block),
              static_cast<std::uint32_t>(now), static_cast<std::uint32_t>(frames / 2));
        return false;
    }

private:
    static constexpr unsigned kGroupShift = 60;  // hashes below 1/16 are the control group
    static constexpr std::size_t kEntries = 1024;
    static constexpr unsigned kEntryShift = 50;
    // The share of faults that reading blocks would save: from where on the rule reads blocks, and below which it stops
    // (0x10000 is all). At three fifths each read saves one and a half others. That pays for the evictions that the
    // other five or six pages of the block cause.
    static constexpr std::uint32_t kBegins = 0x10000 / 5 * 3;
    static constexpr std::uint32_t kStops = 0x10000 / 2;
    static constexpr std::uint32_t kWeight = 64;  // faults in the running mean

    /// The first fault of a block of the control group.
    struct Leader {
        std::uint32_t block = 0;
        std::uint32_t time = 0;
    };

    void judge(Leader& leader, std::uint32_t block, std::uint32_t now, std::uint32_t lifetime) FAULTLINE_SIGNAL_SAFE {
        const bool saved = leader.block == block && leader.time != 0 && now - leader.time <= lifetime;
        if (!saved) leader = {block, now};
        saved_ = saved_ - saved_ / kWeight + (saved ? 0x10000 / kWeight : 0);
        if (saved_ >= kBegins) pays_ = true;
        if (saved_ < kStops) pays_ = false;
    }

    std::array<Leader, kEntries> leaders_{};
    std::uint32_t saved_ = 0;  // the running mean
    bool pays_ = false;
};

}  // namespace faultline::policy
