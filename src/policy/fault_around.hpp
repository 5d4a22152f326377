// FaultAround: says whether a fault that waits for a disk should read the pages around its page, too. A disk reads
// eight pages in about the time of one; but pages that nobody uses take frames from others.
//
// The rule measures what it would gain. One block of eight pages in sixteen is in a control group that is never read
// around. If a fault there follows an earlier one in the same block within the time that a page stays resident, reading
// around would have saved it. Where that holds for most faults of the group, the other blocks are read around.
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
    /// (core::PageRef::bits). `now`: the number of hard faults so far. `frames`: the pages that can be resident.
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
    // Of the faults that reading around saves, as 16-bit fractions. With three of five, each read saves one and a half
    // others, which pays for evicting the five or six pages of the block that were brought in for nothing.
    static constexpr std::uint32_t kPays = 0x10000 / 5 * 3;
    static constexpr std::uint32_t kFails = 0x10000 / 2;
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
        if (saved_ >= kPays) pays_ = true;
        if (saved_ < kFails) pays_ = false;
    }

    std::array<Leader, kEntries> leaders_{};
    std::uint32_t saved_ = 0;  // the running mean
    bool pays_ = false;
};

}  // namespace faultline::policy
