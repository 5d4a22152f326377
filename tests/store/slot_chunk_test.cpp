// SlotChunk: counts agree with bits, and runs are found exactly.
#include "store/slot_chunk.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <iostream>
#include <random>
#include <utility>
#include <vector>

namespace faultline::test {
namespace {

using store::SlotChunk;

std::pair<std::uint32_t, std::uint32_t> pair_of(SlotChunk::Run run) { return {run.first, run.count}; }

const std::pair<std::uint32_t, std::uint32_t> kNoRun{SlotChunk::kSlots, 0};

TEST(SlotChunk, IsFreeAndWithoutWasteAtFirst) {
    const SlotChunk chunk;
    EXPECT_EQ(pair_of(chunk.next_free(0)), (std::pair{0U, SlotChunk::kSlots}));
    EXPECT_EQ(pair_of(chunk.next_waste(0)), kNoRun);
}

TEST(SlotChunk, FindsFreeRunsBetweenAllottedSlots) {
    SlotChunk chunk;
    chunk.mark_allotted(0, 100);
    chunk.mark_allotted(130, 382);
    EXPECT_EQ(pair_of(chunk.next_free(0)), (std::pair{100U, 30U}));
    EXPECT_EQ(pair_of(chunk.next_free(110)), (std::pair{110U, 20U}));
    EXPECT_EQ(pair_of(chunk.next_free(130)), kNoRun);
    EXPECT_EQ(chunk.used, 482);
}

TEST(SlotChunk, CountsAsWasteWhatWasUsedAndIsFree) {
    SlotChunk chunk;
    chunk.mark_allotted(60, 10);
    EXPECT_EQ(chunk.waste, 0);
    chunk.mark_free(60, 4);
    chunk.mark_free(68, 2);
    EXPECT_EQ(chunk.waste, 6);
    EXPECT_EQ(pair_of(chunk.next_waste(0)), (std::pair{60U, 4U}));
    EXPECT_EQ(pair_of(chunk.next_waste(64)), (std::pair{68U, 2U}));
    chunk.mark_allotted(62, 2);
    EXPECT_EQ(chunk.waste, 4) << "waste that is used again is no waste";
}

TEST(SlotChunk, PunchingTakesTheBlocksOfFreeSlotsOnly) {
    SlotChunk chunk;
    chunk.mark_allotted(0, 8);
    chunk.mark_free(0, 3);
    chunk.mark_free(5, 3);
    chunk.mark_punched(0, 8);
    EXPECT_EQ(chunk.waste, 0);
    EXPECT_EQ(pair_of(chunk.next_waste(0)), kNoRun);
    chunk.mark_free(3, 2);
    EXPECT_EQ(pair_of(chunk.next_waste(0)), (std::pair{3U, 2U})) << "slots that were in use kept their blocks";
}

TEST(SlotChunk, APageLeavesWhenItsLastSlotDoesInWhateverOrder) {
    SlotChunk chunk;
    chunk.size_class = 4;
    for (const std::vector<std::uint32_t>& order :
         {std::vector<std::uint32_t>{0, 4, 8, 12}, {12, 8, 4, 0}, {8, 0, 12, 4}}) {
        for (std::uint32_t i = 0; i < 3; ++i) EXPECT_EQ(chunk.mark_leaving(32 + order[i], 4).count, 0U);
        EXPECT_EQ(chunk.mark_leaving(48, 4).count, 0U) << "a page beside it";
        EXPECT_EQ(pair_of(chunk.mark_leaving(32 + order[3], 4)), (std::pair{32U, 16U}));
        chunk.leaving = {};
    }
}

TEST(SlotChunk, APageThatLeavesAsAWholeIsNotRemembered) {
    SlotChunk chunk;
    chunk.size_class = 9;
    EXPECT_EQ(pair_of(chunk.mark_leaving(0, 512)), (std::pair{0U, 512U}));
    EXPECT_EQ(chunk.leaving, SlotChunk::Bits{});
}

TEST(SlotChunk, AgreesWithAModelWhateverTheOrder) {
    const std::uint64_t seed = std::random_device{}();
    std::cout << "seed " << seed << '\n';
    std::mt19937_64 random{seed};
    SlotChunk chunk;
    std::vector<bool> allotted(SlotChunk::kSlots);
    std::vector<bool> blocks(SlotChunk::kSlots);
    const auto run_from = [&](std::uint32_t from, const auto& is_wanted) {
        std::uint32_t first = from;
        while (first < SlotChunk::kSlots && !is_wanted(first)) ++first;
        std::uint32_t end = first;
        while (end < SlotChunk::kSlots && is_wanted(end)) ++end;
        return std::pair{first, end - first};
    };
    const auto is_free = [&](std::uint32_t slot) { return !allotted[slot]; };
    const auto is_waste = [&](std::uint32_t slot) { return !allotted[slot] && blocks[slot]; };
    for (int step = 0; step < 5000; ++step) {
        const auto from = static_cast<std::uint32_t>(random() % SlotChunk::kSlots);
        const auto most = static_cast<std::uint32_t>(random() % 100 + 1);
        if (random() % 2 == 0) {
            const SlotChunk::Run run = chunk.next_free(from);
            ASSERT_EQ(pair_of(run), run_from(from, is_free));
            const std::uint32_t count = std::min(run.count, most);
            chunk.mark_allotted(run.first, count);
            for (std::uint32_t i = 0; i < count; ++i) allotted[run.first + i] = blocks[run.first + i] = true;
        } else {
            const auto [first, length] = run_from(from, [&](std::uint32_t slot) { return bool{allotted[slot]}; });
            const std::uint32_t count = std::min(length, most);
            chunk.mark_free(first, count);
            for (std::uint32_t i = 0; i < count; ++i) allotted[first + i] = false;
        }
        if (step % 10 == 0) {
            const SlotChunk::Run run = chunk.next_waste(from);
            ASSERT_EQ(pair_of(run), run_from(from, is_waste));
            chunk.mark_punched(run.first, run.count);
            for (std::uint32_t i = 0; i < run.count; ++i) blocks[run.first + i] = false;
        }
        std::uint32_t used = 0;
        std::uint32_t waste = 0;
        for (std::uint32_t slot = 0; slot < SlotChunk::kSlots; ++slot) {
            used += allotted[slot] ? 1U : 0U;
            waste += is_waste(slot) ? 1U : 0U;
        }
        ASSERT_EQ(chunk.used, used);
        ASSERT_EQ(chunk.waste, waste);
    }
}

}  // namespace
}  // namespace faultline::test
