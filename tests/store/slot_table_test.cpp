// SlotTable: shelves come and go under their numbers, words change only from what was seen, and users are counted.
#include "store/slot_table.hpp"

#include "support/run_threads.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <set>
#include <vector>

namespace faultline::test {
namespace {

using store::EntryAddress;
using store::kNoSlot;
using store::SlotNumber;
using store::SlotPlace;
using store::SlotShelf;
using store::SlotTable;
using store::SlotWord;

SlotNumber slot_of(std::uint32_t shelf, std::uint32_t index) { return (shelf << SlotShelf::kShift) + index; }

class SlotTableOfOneShelf : public testing::Test {
protected:
    SlotTable table_;
    std::uint32_t shelf_ = table_.add(std::make_unique<SlotShelf>());
    SlotNumber slot_ = slot_of(shelf_, 77);
};

TEST_F(SlotTableOfOneShelf, HasNoSlotWithTheNumberOfNone) {
    EXPECT_FALSE(table_.has(kNoSlot));
    EXPECT_TRUE(table_.has(slot_of(shelf_, 0)));
    EXPECT_TRUE(table_.has(slot_of(shelf_, SlotShelf::kSlots - 1)));
    EXPECT_FALSE(table_.has(slot_of(shelf_ + 1, 0)));
}

TEST_F(SlotTableOfOneShelf, GivesTheNumberOfAShelfThatWasRemovedToTheNextOne) {
    const std::uint32_t second = table_.add(std::make_unique<SlotShelf>());
    const std::uint32_t third = table_.add(std::make_unique<SlotShelf>());
    EXPECT_EQ((std::set{shelf_, second, third}).size(), 3U);
    EXPECT_NE(table_.remove(second), nullptr);
    EXPECT_FALSE(table_.has(slot_of(second, 0)));
    std::vector<std::uint32_t> visited;
    table_.for_each([&](std::uint32_t number, const SlotShelf&) { visited.push_back(number); });
    EXPECT_EQ(visited, (std::vector{shelf_, third}));
    EXPECT_EQ(table_.add(std::make_unique<SlotShelf>()), second);
}

TEST_F(SlotTableOfOneShelf, KnowsHowManyShelvesItHasRoomFor) {
    EXPECT_EQ(table_.room(SlotTable::kMostShelves), SlotTable::kMostShelves - 2) << "one is there, none has number 0";
    EXPECT_EQ(table_.room(3), 3U);
}

TEST_F(SlotTableOfOneShelf, ChangesAWordOnlyFromWhatTheCallerSaw) {
    const SlotWord memory = SlotWord::in_memory(EntryAddress{3, 8});
    SlotWord seen;
    EXPECT_TRUE(table_.try_change(slot_, seen, memory));
    EXPECT_FALSE(table_.try_change(slot_, seen, SlotWord::open()));
    EXPECT_EQ(seen, memory) << "the caller learns the current word";
    EXPECT_EQ(table_.load(slot_), memory);
    EXPECT_EQ(table_.load(slot_ + 1), SlotWord{});
    EXPECT_EQ(table_.change(slot_, [](SlotWord word) { return word.claimed_for_spill(); }), memory);
    EXPECT_TRUE(table_.load(slot_).is(SlotPlace::spilling));
}

TEST_F(SlotTableOfOneShelf, FindsTheBytesOfASlotInItsPartOfTheFile) {
    table_.shelf(shelf_)->file_offset = 3 * SlotShelf::kBytes;
    EXPECT_EQ(table_.file_offset_of(slot_of(shelf_, 0)), 3 * SlotShelf::kBytes);
    EXPECT_EQ(table_.file_offset_of(slot_of(shelf_, SlotShelf::kSlots - 1)), 4 * SlotShelf::kBytes - core::kUnitBytes);
}

TEST_F(SlotTableOfOneShelf, APageIsFreedByTheLastLocationAndByNoOther) {
    EXPECT_EQ(table_.users(slot_), 1U);
    for (int i = 0; i < 3; ++i) table_.add_user(slot_);
    EXPECT_EQ(table_.users(slot_), 4U);
    for (int i = 0; i < 3; ++i) EXPECT_FALSE(table_.drop_user(slot_));
    EXPECT_EQ(table_.users(slot_), 1U);
    EXPECT_TRUE(table_.drop_user(slot_));
    EXPECT_EQ(table_.users(slot_), 1U) << "the next page there has one user again";
}

TEST_F(SlotTableOfOneShelf, OfThreadsThatDropAllUsersOneFreesThePage) {
    constexpr unsigned kThreads = 8;
    for (SlotNumber slot = slot_; slot < slot_ + 500; ++slot) {
        for (unsigned i = 1; i < kThreads; ++i) table_.add_user(slot);
    }
    std::vector<std::atomic<int>> freed(500);
    run_threads(kThreads, [&](unsigned) {
        for (std::uint32_t i = 0; i < 500; ++i) {
            if (table_.drop_user(slot_ + i)) freed[i].fetch_add(1);
        }
    });
    for (std::uint32_t i = 0; i < 500; ++i) EXPECT_EQ(freed[i].load(), 1) << "page " << i;
}

}  // namespace
}  // namespace faultline::test
