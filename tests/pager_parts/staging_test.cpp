// Staging: batches of staged pages. A thread holds each batch, or it waits in the zone.
#include "pager/frame/staging.hpp"

#include "core/units.hpp"
#include "pager_parts/threads.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <vector>

namespace faultline::test {
namespace {

using core::PageRef;
using pager::StagedFrame;
using pager::Staging;
using pager::StagingBatch;

constexpr std::uint32_t kRegion = 3;

class StagingTest : public testing::Test {
protected:
    StagingBatch& take() {
        StagingBatch* const batch = staging_.take_empty();
        EXPECT_NE(batch, nullptr);
        return *batch;
    }
    StagingBatch& push_one(std::uint32_t page, std::size_t units = 1) {
        StagingBatch& batch = take();
        staging_.add(batch, {kRegion, page}, units, 0, StagedFrame::in_slot);
        staging_.push(batch);
        return batch;
    }

    Staging staging_{Staging::kMostBatches * 16};
};

TEST_F(StagingTest, AddsPagesOneBehindTheOther) {
    StagingBatch& batch = take();
    EXPECT_EQ(staging_.add(batch, {kRegion, 10}, 1, 0, StagedFrame::in_slot), 0U);
    EXPECT_EQ(staging_.add(batch, {kRegion, 20}, 16, 1, StagedFrame::in_slot), 1U);
    EXPECT_EQ(staging_.add(batch, {kRegion, 30}, 1, 0, StagedFrame::in_slot), 2U);
    EXPECT_EQ(batch.pages, 3U);
    EXPECT_EQ(batch.used_units, 18U);
    EXPECT_EQ(batch.unit_of(1), batch.unit_of(0) + 1);
    EXPECT_EQ(batch.unit_of(2), batch.unit_of(0) + 17);
    EXPECT_EQ(batch.page_of(1), (PageRef{kRegion, 20}));
    EXPECT_EQ(batch.entries[1].policy_tag, 1);
    EXPECT_EQ(batch.entries[1].frame.load(), StagedFrame::in_slot);
}

TEST_F(StagingTest, EachUnitHasItsOwnBytes) {
    StagingBatch& first = take();
    StagingBatch& second = take();
    staging_.add(first, {kRegion, 1}, 1, 0, StagedFrame::in_slot);
    staging_.add(second, {kRegion, 2}, 1, 0, StagedFrame::in_slot);
    const auto distance = staging_.address_of(second.unit_of(0)) - staging_.address_of(first.unit_of(0));
    EXPECT_GE(static_cast<std::size_t>(std::abs(distance)), StagingBatch::kUnits * core::kUnitBytes);
    EXPECT_EQ(core::address_of(staging_.address_of(first.unit_of(0))) % kLargestPageBytes, 0U);
    EXPECT_EQ(staging_.address_of(0), staging_.area().data());
}

TEST_F(StagingTest, HasRoomForSoManyPagesAndUnits) {
    StagingBatch& small = take();
    for (std::uint32_t page = 0; page < StagingBatch::kMostPages; ++page) {
        ASSERT_TRUE(small.has_room(1));
        staging_.add(small, {kRegion, page}, 1, 0, StagedFrame::in_slot);
    }
    EXPECT_FALSE(small.has_room(1));

    StagingBatch& large = take();
    EXPECT_TRUE(large.has_room(StagingBatch::kUnits));
    staging_.add(large, {kRegion, 1}, StagingBatch::kUnits - 1, 0, StagedFrame::in_slot);
    EXPECT_TRUE(large.has_room(1));
    EXPECT_FALSE(large.has_room(2));
}

TEST_F(StagingTest, TakesTheLastEntryOutAgain) {
    StagingBatch& batch = take();
    staging_.add(batch, {kRegion, 1}, 2, 0, StagedFrame::in_slot);
    staging_.add(batch, {kRegion, 2}, 4, 0, StagedFrame::in_slot);
    staging_.remove_last(batch);
    EXPECT_EQ(batch.pages, 1U);
    EXPECT_EQ(batch.used_units, 2U);
    EXPECT_EQ(batch.entries[1].page.load(), 0U);
    EXPECT_EQ(staging_.add(batch, {kRegion, 3}, 1, 0, StagedFrame::in_slot), 1U);
    EXPECT_EQ(batch.unit_of(1), batch.unit_of(0) + 2);
}

TEST_F(StagingTest, PopsTheOldestFirst) {
    StagingBatch& first = push_one(1);
    StagingBatch& second = push_one(2);
    EXPECT_EQ(staging_.zone_batches(), 2U);
    EXPECT_EQ(staging_.pop_oldest(0), &first);
    staging_.push(first);
    EXPECT_EQ(staging_.pop_oldest(0), &second);
    EXPECT_EQ(staging_.pop_oldest(0), &first);
    EXPECT_EQ(staging_.pop_oldest(0), nullptr);
    EXPECT_EQ(staging_.zone_batches(), 0U);
}

TEST_F(StagingTest, KeepsSoManyUnitsInTheZone) {
    StagingBatch& first = push_one(1, 10);
    push_one(2, 10);
    EXPECT_EQ(staging_.pop_oldest(20), nullptr);
    EXPECT_EQ(staging_.pop_oldest(19), &first);
    EXPECT_EQ(staging_.pop_oldest(10), nullptr);
    EXPECT_NE(staging_.pop_oldest(9), nullptr);
}

TEST_F(StagingTest, HandsBatchesThatAreGivenBackOutEmpty) {
    StagingBatch& batch = take();
    staging_.add(batch, {kRegion, 1}, 5, 1, StagedFrame::in_slot);
    staging_.give_back_empty(batch);
    StagingBatch& again = take();
    EXPECT_EQ(&again, &batch) << "the warmest one";
    EXPECT_EQ(again.pages, 0U);
    EXPECT_EQ(again.used_units, 0U);
    EXPECT_TRUE(again.has_room(StagingBatch::kUnits));
}

TEST_F(StagingTest, HasNoMoreBatchesThanItSays) {
    std::vector<StagingBatch*> taken;
    std::set<std::uint32_t> indices;
    while (StagingBatch* const batch = staging_.take_empty()) {
        taken.push_back(batch);
        indices.insert(batch->index);
        ASSERT_LE(taken.size(), Staging::kMostBatches);
    }
    EXPECT_EQ(taken.size(), Staging::kMostBatches);
    EXPECT_EQ(indices.size(), Staging::kMostBatches);
    EXPECT_EQ(*indices.rbegin(), Staging::kMostBatches - 1);
    staging_.give_back_empty(*taken.back());
    EXPECT_EQ(staging_.take_empty(), taken.back());
}

TEST_F(StagingTest, KnowsWhereFramesAre) {
    StagingBatch& other = push_one(1);
    StagingBatch& batch = take();
    staging_.add(batch, {kRegion, 2}, 16, 0, StagedFrame::in_slot);
    staging_.add(batch, {kRegion, 3}, 16, 0, StagedFrame::in_slot);
    staging_.add(batch, {kRegion, 4}, 1, 0, StagedFrame::in_place);
    staging_.frame_taken_back(batch.unit_of(1));
    EXPECT_EQ(staging_.frame_at(batch.unit_of(0)), StagedFrame::in_slot);
    EXPECT_EQ(staging_.frame_at(batch.unit_of(1)), StagedFrame::not_held);
    EXPECT_EQ(staging_.frame_at(batch.unit_of(2)), StagedFrame::in_place);
    EXPECT_EQ(staging_.frame_at(other.unit_of(0)), StagedFrame::in_slot);
}

TEST_F(StagingTest, ForgetsARegionWhereverItsPagesAre) {
    StagingBatch& in_zone = push_one(1);
    StagingBatch& held = take();
    staging_.add(held, {kRegion, 2}, 1, 0, StagedFrame::in_slot);
    staging_.add(held, {kRegion + 1, 2}, 1, 0, StagedFrame::in_slot);
    staging_.forget_region(kRegion);
    EXPECT_EQ(in_zone.page_of(0), PageRef{});
    EXPECT_EQ(held.page_of(0), PageRef{});
    EXPECT_EQ(held.page_of(1), (PageRef{kRegion + 1, 2})) << "of another region";
}

/// Takes, fills, pushes, pops and gives back batches, while other threads do the same.
void work_with_batches(Staging& staging, std::vector<std::atomic<int>>& holders, std::atomic<int>& wrong) {
    const auto hold = [&](const StagingBatch& batch) { wrong += holders[batch.index].fetch_add(1); };
    const auto let_go = [&](const StagingBatch& batch) { holders[batch.index].fetch_sub(1); };
    for (std::uint32_t round = 0; round < 2000; ++round) {
        StagingBatch* const filled = staging.take_empty();
        if (filled == nullptr || filled->pages != 0) {
            ++wrong;
            return;
        }
        hold(*filled);
        staging.add(*filled, {kRegion, round}, 1, 0, StagedFrame::in_slot);
        let_go(*filled);
        staging.push(*filled);
        StagingBatch* const oldest = staging.pop_oldest(4);
        if (oldest == nullptr) continue;
        hold(*oldest);
        wrong += oldest->pages == 1 ? 0 : 1;
        let_go(*oldest);
        staging.give_back_empty(*oldest);
    }
}

TEST_F(StagingTest, GivesNoBatchToTwoThreads) {
    std::vector<std::atomic<int>> holders(Staging::kMostBatches);
    std::atomic<int> wrong{0};
    run_threads(6, [&](unsigned) { work_with_batches(staging_, holders, wrong); });
    EXPECT_EQ(wrong, 0);
    std::size_t left = 0;
    while (staging_.pop_oldest(0) != nullptr) ++left;
    EXPECT_GE(left, 4U);
    EXPECT_EQ(staging_.zone_batches(), 0U);
}

}  // namespace
}  // namespace faultline::test
