// SlotAllocator: no slot is allotted twice, chunks are used in the order that its header promises, and free space is
// given back once. Shelves here have no file.
#include "store/slot_allocator.hpp"

#include "core/units.hpp"
#include "support/run_threads.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <iostream>
#include <memory>
#include <random>
#include <set>
#include <vector>

namespace faultline::test {
namespace {

using store::SlotAllocator;
using store::SlotChunk;
using store::SlotNumber;
using store::SlotPlace;
using store::SlotRun;
using store::SlotShelf;
using store::SlotTable;
using store::SlotWord;
using testing::IsEmpty;

constexpr std::uint32_t kSlots = SlotChunk::kSlots;  // of a chunk
constexpr std::uint64_t kChunkBytes = kSlots * core::kUnitBytes;

class SlotAllocatorTest : public testing::Test {
protected:
    void TearDown() override { EXPECT_THAT(allocator_.problems(), IsEmpty()); }

    std::uint32_t add_shelf(std::uint32_t chunks) {
        auto shelf = std::make_unique<SlotShelf>();
        shelf->usable_chunks = chunks;
        const std::uint32_t number = table_.add(std::move(shelf));
        allocator_.add_shelf(number);
        return number;
    }
    static SlotNumber chunk(std::uint32_t shelf, std::uint32_t number) {
        return (shelf << SlotShelf::kShift) + number * kSlots;
    }
    /// Fills the next chunk.
    SlotNumber fill_chunk() {
        const SlotRun run = allocator_.allot(0, kSlots);
        EXPECT_EQ(run.count, kSlots);
        return run.first;
    }
    void free(SlotNumber first, std::uint32_t count, std::uint32_t step = 1) {
        for (std::uint32_t i = 0; i < count; ++i) free_page({first + i * step, 1});
    }
    void free_page(SlotRun page) {
        for (std::uint32_t i = 0; i < page.count; ++i) table_.store(page.first + i, SlotWord{});
        allocator_.free(page);
    }
    /// Gives back what the allocator offers. Returns the runs.
    std::vector<SlotRun> punch(bool also_partial = false) {
        std::vector<SlotRun> runs;
        const SlotAllocator::Piece piece = allocator_.begin_punching(also_partial);
        if (!piece) return runs;
        SlotNumber from = piece.slots.first;
        for (SlotRun run = allocator_.next_to_punch(piece, from); run.count > 0;
             run = allocator_.next_to_punch(piece, from)) {
            allocator_.punched(run);
            runs.push_back(run);
            from = run.first + run.count;
        }
        allocator_.end_punching(piece);
        return runs;
    }

    SlotTable table_;
    SlotAllocator allocator_{table_};
};

// ---- Allotting

TEST_F(SlotAllocatorTest, AllotsSlotsInARowUntilTheShelfIsFull) {
    const std::uint32_t shelf = add_shelf(2);
    SlotNumber next = chunk(shelf, 0);
    while (next < chunk(shelf, 2)) {
        const SlotRun run = allocator_.allot(0, 100);
        EXPECT_EQ(run.first, next);
        EXPECT_EQ(run.count, std::min(100U, kSlots - next % kSlots)) << "a run ends with its chunk";
        for (std::uint32_t i = 0; i < run.count; ++i) EXPECT_TRUE(table_.load(run.first + i).is(SlotPlace::open));
        next += run.count;
    }
    EXPECT_EQ(allocator_.allot(0, 1).count, 0U);
    EXPECT_EQ(allocator_.allotted_bytes(), 2 * kChunkBytes);
    EXPECT_EQ(allocator_.capacity_bytes(), 2 * kChunkBytes);
}

TEST_F(SlotAllocatorTest, AllotsNothingWithoutAShelf) {
    EXPECT_EQ(allocator_.allot(0, 1).count, 0U);
    EXPECT_EQ(allocator_.allot(9, 1).count, 0U);
}

TEST_F(SlotAllocatorTest, UsesTheShelvesInTheOrderInWhichTheyWereAdded) {
    const std::uint32_t first = add_shelf(1);
    const std::uint32_t second = add_shelf(1);
    EXPECT_EQ(fill_chunk(), chunk(first, 0));
    EXPECT_EQ(fill_chunk(), chunk(second, 0));
}

TEST_F(SlotAllocatorTest, PagesOfEachSizeHaveChunksOfTheirOwnAndAreAligned) {
    add_shelf(40);
    std::set<std::pair<std::uint32_t, unsigned>> chunks;
    for (unsigned size_class = 0; size_class < SlotAllocator::kSizeClasses; ++size_class) {
        const SlotRun run = allocator_.allot(size_class, 3);
        EXPECT_EQ(run.count, std::min(3U << size_class, kSlots));
        EXPECT_EQ(run.first % (1U << size_class), 0U);
        chunks.emplace(run.first / kSlots, size_class);
        const std::uint32_t block = std::min(1U << size_class, store::kBlockSlots);
        for (std::uint32_t i = 0; i < run.count; ++i) {
            const SlotPlace wanted = i % block == 0 ? SlotPlace::open : SlotPlace::unused;
            EXPECT_TRUE(table_.load(run.first + i).is(wanted)) << "slot " << i << " of class " << size_class;
        }
    }
    EXPECT_EQ(chunks.size(), SlotAllocator::kSizeClasses);
}

TEST_F(SlotAllocatorTest, UsesAnEmptyChunkBeforeAFreshOneAndTheLastOneFirst) {
    add_shelf(4);
    const SlotNumber first = fill_chunk();
    const SlotNumber second = fill_chunk();
    fill_chunk();
    free(first, kSlots);
    free(second, kSlots);
    EXPECT_EQ(fill_chunk(), second);
    EXPECT_EQ(fill_chunk(), first);
}

TEST_F(SlotAllocatorTest, UsesAChunkWithoutBlocksBeforeOneThatWasNeverUsed) {
    add_shelf(3);
    const SlotNumber first = fill_chunk();
    const SlotNumber second = fill_chunk();
    free(first, kSlots);
    EXPECT_EQ(punch().size(), 1U);
    EXPECT_EQ(fill_chunk(), first);
    EXPECT_EQ(fill_chunk(), second + kSlots);
}

TEST_F(SlotAllocatorTest, UsesTheEmptiestChunkInUseWhenThereIsNoOther) {
    add_shelf(3);
    const SlotNumber first = fill_chunk();
    const SlotNumber second = fill_chunk();
    const SlotNumber third = fill_chunk();
    free(first, 100);
    free(second + 7, 200, 2);
    free(third, 90);
    for (std::uint32_t i = 0; i < 200; ++i) EXPECT_EQ(allocator_.allot(0, 5).first, second + 7 + 2 * i);
    EXPECT_EQ(allocator_.allot(0, 200).count, 100U);
    EXPECT_EQ(allocator_.allot(0, 200).first, third);
    EXPECT_EQ(allocator_.allot(0, 1).count, 0U);
}

TEST_F(SlotAllocatorTest, AFreeSlotOfTheOpenChunkWaitsUntilTheChunkIsOpenedAgain) {
    const std::uint32_t shelf = add_shelf(1);
    EXPECT_EQ(allocator_.allot(0, 10).first, chunk(shelf, 0));
    free(chunk(shelf, 0), 9);
    EXPECT_EQ(allocator_.allot(0, 1).first, chunk(shelf, 0) + 10) << "what leaves together stays together";
    EXPECT_EQ(allocator_.allot(0, kSlots).count, kSlots - 11);
    EXPECT_EQ(allocator_.allot(0, kSlots).first, chunk(shelf, 0));
}

TEST_F(SlotAllocatorTest, AnOpenChunkThatBecomesEmptyCanBePunched) {
    const std::uint32_t shelf = add_shelf(1);
    EXPECT_EQ(allocator_.allot(0, 10).first, chunk(shelf, 0));
    EXPECT_FALSE(allocator_.worth_punching());
    free(chunk(shelf, 0), 10);
    EXPECT_TRUE(allocator_.worth_punching());
    EXPECT_EQ(punch().size(), 1U);
    EXPECT_EQ(allocator_.allot(0, kSlots).count, kSlots) << "all of it is free again";
}

TEST_F(SlotAllocatorTest, UsesChunksInUseBeforeFreshOnesOnceALotOfTheirSpaceIsFree) {
    constexpr std::uint32_t kChunks = 64;  // 128 MiB
    add_shelf(2 * kChunks);
    std::vector<SlotNumber> chunks(kChunks);
    for (SlotNumber& one : chunks) one = fill_chunk();
    for (std::uint32_t i = 0; i < 16; ++i) free(chunks[i], kSlots / 2);
    EXPECT_EQ(allocator_.waste_bytes(), 16 * kChunkBytes / 2);
    EXPECT_EQ(allocator_.allot(0, 1).first, chunks.back() + kSlots) << "16 MiB are not a lot";
    for (std::uint32_t i = 16; i < kChunks; ++i) free(chunks[i], kSlots / 2);
    static_cast<void>(allocator_.allot(0, kSlots));  // the rest of the chunk that is open
    const SlotNumber next = allocator_.allot(0, 1).first;
    EXPECT_LT(next, chunks.back() + kSlots) << "64 MiB are free in chunks that are in use";
}

// ---- Pages of several slots

TEST_F(SlotAllocatorTest, APageThatIsFreedBlockByBlockIsFreeWithItsLastBlock) {
    add_shelf(1);
    const SlotRun run = allocator_.allot(4, kSlots);
    ASSERT_EQ(run.count, kSlots);
    for (const std::uint32_t block : {8U, 0U, 12U}) free_page({run.first + 32 + block, 4});
    EXPECT_EQ(allocator_.allot(4, 1).count, 0U) << "a block of the page is still spilled";
    EXPECT_EQ(allocator_.allotted_bytes(), kChunkBytes);
    free_page({run.first + 36, 4});
    const SlotRun again = allocator_.allot(4, 1);
    EXPECT_EQ(again.first, run.first + 32);
    EXPECT_EQ(again.count, 16U);
}

TEST_F(SlotAllocatorTest, NoRunConsistsOfPartsOfPages) {
    add_shelf(1);
    const SlotRun run = allocator_.allot(3, kSlots);
    free_page({run.first + 4, 4});   // half of a page
    free_page({run.first + 8, 4});   // half of the next
    free_page({run.first + 16, 8});  // a whole one
    const SlotRun next = allocator_.allot(3, kSlots);
    EXPECT_EQ(next.first, run.first + 16);
    EXPECT_EQ(next.count, 8U);
    EXPECT_EQ(allocator_.allot(3, 1).count, 0U);
}

// ---- Giving blocks back

TEST_F(SlotAllocatorTest, GivesBackNeighbouringEmptyChunksInOnePiece) {
    add_shelf(6);
    std::vector<SlotNumber> chunks(5);
    for (SlotNumber& one : chunks) one = fill_chunk();
    EXPECT_FALSE(allocator_.worth_punching());
    for (const std::size_t i : {3U, 1U, 2U}) free(chunks[i], kSlots);
    EXPECT_TRUE(allocator_.worth_punching());
    const std::vector<SlotRun> runs = punch();
    ASSERT_EQ(runs.size(), 1U);
    EXPECT_EQ(runs[0].first, chunks[1]);
    EXPECT_EQ(runs[0].count, 3 * kSlots);
    EXPECT_EQ(allocator_.waste_bytes(), 0U);
    EXPECT_FALSE(allocator_.worth_punching());
    EXPECT_TRUE(punch().empty());
}

TEST_F(SlotAllocatorTest, NoPieceIsLargerThan64MiBOrInTwoShelves) {
    add_shelf(40);
    add_shelf(40);
    std::vector<SlotNumber> chunks(80);
    for (SlotNumber& one : chunks) one = fill_chunk();
    for (const SlotNumber one : chunks) free(one, kSlots);
    std::uint32_t given_back = 0;
    for (std::vector<SlotRun> runs = punch(); !runs.empty(); runs = punch()) {
        ASSERT_EQ(runs.size(), 1U);
        EXPECT_LE(runs[0].count, 32 * kSlots);
        EXPECT_EQ(runs[0].first >> SlotShelf::kShift, (runs[0].first + runs[0].count - 1) >> SlotShelf::kShift);
        given_back += runs[0].count;
    }
    EXPECT_EQ(given_back, 80 * kSlots);
}

TEST_F(SlotAllocatorTest, GivesBackTheFreePartsOfAChunkInUseWhenItIsAsked) {
    add_shelf(2);
    const SlotNumber first = fill_chunk();
    fill_chunk();
    free(first + 10, 5);
    free(first + 100, 50);
    EXPECT_TRUE(punch(false).empty());
    const std::vector<SlotRun> runs = punch(true);
    ASSERT_EQ(runs.size(), 2U);
    EXPECT_EQ(runs[0].first, first + 10);
    EXPECT_EQ(runs[0].count, 5U);
    EXPECT_EQ(runs[1].first, first + 100);
    EXPECT_EQ(runs[1].count, 50U);
    EXPECT_TRUE(punch(true).empty());
    EXPECT_EQ(allocator_.allot(0, 5).first, first + 10) << "slots without blocks are free like others";
}

TEST_F(SlotAllocatorTest, GivesBackTheFreePartsOfTheOpenChunkWhenThereIsNothingElse) {
    const std::uint32_t shelf = add_shelf(2);
    static_cast<void>(allocator_.allot(0, 100));
    free(chunk(shelf, 0) + 20, 30);
    const std::vector<SlotRun> runs = punch(true);
    ASSERT_EQ(runs.size(), 1U);
    EXPECT_EQ(runs[0].first, chunk(shelf, 0) + 20);
    EXPECT_EQ(runs[0].count, 30U);
    free(chunk(shelf, 0), 20);
    free(chunk(shelf, 0) + 50, 50);
    ASSERT_EQ(punch(true).size(), 1U);
    EXPECT_EQ(allocator_.waste_bytes(), 0U);
    EXPECT_EQ(fill_chunk() % kSlots, 0U);
}

TEST_F(SlotAllocatorTest, AllotsNoSlotOfAChunkThatIsGivenBack) {
    add_shelf(1);
    const SlotNumber first = fill_chunk();
    free(first, kSlots - 1);
    const SlotAllocator::Piece piece = allocator_.begin_punching(true);
    ASSERT_TRUE(piece);
    EXPECT_EQ(allocator_.allot(0, 1).count, 0U);
    const SlotRun run = allocator_.next_to_punch(piece, piece.slots.first);
    EXPECT_EQ(run.count, kSlots - 1);
    free(first + kSlots - 1, 1);  // freed while a thread punches
    allocator_.punched(run);
    allocator_.end_punching(piece);
    EXPECT_EQ(allocator_.waste_bytes(), core::kUnitBytes) << "the slot that was freed meanwhile";
    EXPECT_EQ(punch().size(), 1U);
    EXPECT_EQ(fill_chunk(), first);
}

TEST_F(SlotAllocatorTest, TooMuchWasteIs40MiBAndFiveEighthsOfWhatIsAllotted) {
    add_shelf(200);
    std::vector<SlotNumber> chunks(100);
    for (SlotNumber& one : chunks) one = fill_chunk();
    std::uint64_t freed = 0;
    for (std::uint32_t i = 0; i < 100 && !allocator_.too_much_waste(); ++i, freed += kChunkBytes / 2) {
        free(chunks[i], kSlots / 2);
    }
    const std::uint64_t allotted = 100 * kChunkBytes - freed;
    EXPECT_GT(freed, allotted / 8 * 5);
    EXPECT_LE(freed - kChunkBytes / 2, (allotted + kChunkBytes / 2) / 8 * 5);
    EXPECT_GT(freed, std::uint64_t{40} << 20);
}

// ---- Fork

TEST_F(SlotAllocatorTest, FreezesShelvesThatAreUsedAndReturnsTheOthers) {
    const std::uint32_t first = add_shelf(1);
    const std::uint32_t second = add_shelf(1);
    const std::uint32_t third = add_shelf(1);
    const SlotNumber stays = fill_chunk();
    free(fill_chunk(), kSlots);
    EXPECT_EQ(allocator_.freeze({}), (std::vector{second, third}));
    EXPECT_TRUE(table_.shelf(first)->frozen);
    EXPECT_FALSE(table_.shelf(second)->frozen);
    EXPECT_EQ(allocator_.allot(0, 1).count, 0U);
    EXPECT_EQ(allocator_.waste_bytes(), 0U);
    allocator_.add_shelf(third);
    EXPECT_EQ(fill_chunk(), chunk(third, 0));

    free(stays, kSlots - 1);
    EXPECT_EQ(allocator_.waste_bytes(), 0U) << "frozen files are left as they are";
    EXPECT_FALSE(allocator_.is_unused(*table_.shelf(first)));
    free(stays + kSlots - 1, 1);
    EXPECT_TRUE(allocator_.is_unused(*table_.shelf(first)));
    EXPECT_EQ(allocator_.allotted_bytes(), kChunkBytes);
    EXPECT_EQ(allocator_.allot(0, 1).count, 0U) << "slots of frozen shelves are not used again";
}

// ---- Whatever the order

TEST_F(SlotAllocatorTest, AllotsNoSlotTwiceWhateverTheOrder) {
    const std::uint64_t seed = std::random_device{}();
    std::cout << "seed " << seed << '\n';
    std::mt19937_64 random{seed};
    add_shelf(30);
    std::vector<SlotRun> pages;
    std::vector<bool> held(30 * kSlots);
    const auto index = [](SlotNumber slot) { return SlotTable::index_of(slot); };
    for (int step = 0; step < 20000; ++step) {
        const std::uint64_t choice = random() % 100;
        if (choice < 52) {
            const unsigned size_class = random() % 3 == 0 ? static_cast<unsigned>(random() % 10) : 0;
            const SlotRun run = allocator_.allot(size_class, static_cast<std::uint32_t>(random() % 30 + 1));
            for (std::uint32_t i = 0; i < run.count; ++i) {
                ASSERT_FALSE(held[index(run.first) + i]) << "step " << step;
                held[index(run.first) + i] = true;
            }
            for (std::uint32_t i = 0; i < run.count; i += 1U << size_class) {
                pages.push_back({run.first + i, 1U << size_class});
            }
        } else if (choice < 98 && !pages.empty()) {
            for (std::uint64_t i = random() % 40; i > 0 && !pages.empty(); --i) {
                std::swap(pages[random() % pages.size()], pages.back());
                const SlotRun page = pages.back();
                pages.pop_back();
                for (std::uint32_t slot = 0; slot < page.count; ++slot) held[index(page.first) + slot] = false;
                free_page(page);
            }
        } else {
            for (const SlotRun run : punch(random() % 2 == 0)) {
                for (std::uint32_t i = 0; i < run.count; ++i) ASSERT_FALSE(held[index(run.first) + i]);
            }
        }
        if (step % 500 == 0) {
            ASSERT_THAT(allocator_.problems(), IsEmpty()) << "step " << step;
        }
    }
}

}  // namespace
}  // namespace faultline::test
