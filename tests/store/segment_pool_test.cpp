// SegmentPool: entries never share bytes, memory stays within the limit and is returned, and no segment is reused while
// a thread reads it.
#include "store/segment_pool.hpp"

#include "core/units.hpp"
#include "store/sizes.hpp"

#include <gtest/gtest.h>

#include <sys/mman.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <iostream>
#include <random>
#include <set>
#include <thread>
#include <utility>
#include <vector>

namespace faultline::test {
namespace {

using store::EntryAddress;
using store::Segment;
using store::SegmentPool;

constexpr std::size_t kWarm = 16 * kSegment;  // free segments whose memory is kept
constexpr std::size_t kQuarter = kSegment / 4;

/// Returns the resident bytes of the pool.
std::size_t resident(const SegmentPool& pool) {
    std::vector<unsigned char> units(pool.memory().size() / core::kUnitBytes);
    EXPECT_EQ(::mincore(pool.memory().data(), pool.memory().size(), units.data()), 0);
    std::size_t count = 0;
    for (const unsigned char unit : units) count += unit & 1U;
    return count * core::kUnitBytes;
}

/// Fills entries of a quarter of a segment each. Returns their addresses.
std::vector<EntryAddress> fill(SegmentPool& pool, std::size_t quarters) {
    std::vector<EntryAddress> entries;
    for (std::size_t i = 0; i < quarters; ++i) {
        const SegmentPool::Room room = pool.reserve(kQuarter);
        if (!room) break;
        std::memset(room.bytes(), static_cast<int>(i), kQuarter);
        entries.push_back(room.entry());
    }
    return entries;
}

TEST(SegmentPool, GivesRoomUntilTheLimitAndNoByteTwice) {
    SegmentPool pool{64 * kSegment, 3 * kSegment};
    const std::vector<EntryAddress> entries = fill(pool, 100);
    EXPECT_EQ(entries.size(), 12U);
    std::set<std::pair<std::uint32_t, std::uint32_t>> places;
    for (const EntryAddress entry : entries) places.emplace(entry.segment, entry.offset);
    EXPECT_EQ(places.size(), 12U);
    EXPECT_EQ(pool.used(), 3 * kSegment);
}

TEST(SegmentPool, HasNoRoomWithoutALimitOrBeyondItsCapacity) {
    SegmentPool none{64 * kSegment, kSegment - 1};
    EXPECT_FALSE(none.reserve(8));
    SegmentPool small{2 * kSegment, 100 * kSegment};
    EXPECT_EQ(small.limit(), 2 * kSegment);
    EXPECT_EQ(fill(small, 100).size(), 8U);
}

TEST(SegmentPool, ADeadSegmentIsFreeAtOnceInWhateverOrderItsEntriesDie) {
    SegmentPool pool{64 * kSegment, 2 * kSegment};
    for (int round = 0; round < 100; ++round) {
        const std::vector<EntryAddress> entries = fill(pool, 100);
        ASSERT_EQ(entries.size(), 8U);
        for (std::size_t i = 0; i < entries.size(); ++i) pool.kill(entries[(i * 3) % 8], kQuarter);
        EXPECT_LE(pool.used(), kSegment);  // the open one
    }
}

TEST(SegmentPool, MemoryStaysWithinTheLimitAndGoesBack) {
    SegmentPool pool{256 * kSegment, 128 * kSegment};
    for (int round = 0; round < 3; ++round) {
        const std::vector<EntryAddress> entries = fill(pool, 1000);
        EXPECT_EQ(entries.size(), 512U);
        EXPECT_EQ(resident(pool), 128 * kSegment);
        for (const EntryAddress entry : entries) pool.kill(entry, kQuarter);
        EXPECT_LE(resident(pool), kWarm + kSegment);
    }
}

TEST(SegmentPool, ALowerLimitTakesTheFreeMemoryToo) {
    SegmentPool pool{64 * kSegment, 32 * kSegment};
    std::vector<EntryAddress> entries = fill(pool, 1000);
    for (const EntryAddress entry : entries) pool.kill(entry, kQuarter);
    pool.set_limit(2 * kSegment);
    EXPECT_LE(resident(pool), 2 * kSegment);
    entries = fill(pool, 1000);
    EXPECT_EQ(entries.size(), 8U);
    pool.set_limit(5 * kSegment);
    EXPECT_EQ(fill(pool, 1000).size(), 12U);
}

TEST(SegmentPool, TheOldestIsTakenFirstAndWhatIsGivenBackIsTheYoungest) {
    SegmentPool pool{64 * kSegment, 3 * kSegment};
    const std::vector<EntryAddress> entries = fill(pool, 12);
    Segment* const first = pool.take_oldest();
    ASSERT_NE(first, nullptr);
    EXPECT_EQ(first->index, entries[0].segment);
    EXPECT_FALSE(pool.give_back(*first)) << "its entries are alive";
    for (const std::size_t expected : {4U, 0U, 8U}) {
        Segment* const next = pool.take_oldest();
        ASSERT_NE(next, nullptr);
        EXPECT_EQ(next->index, entries[expected].segment);
        for (std::size_t i = 0; i < 4; ++i) pool.kill(entries[expected + i], kQuarter);
        EXPECT_TRUE(pool.give_back(*next));
    }
    EXPECT_EQ(pool.take_oldest(), nullptr);
    EXPECT_EQ(pool.used(), 0U);
}

TEST(SegmentPool, TakesASparseOneAndLeavesTheOthersInTheirOrder) {
    SegmentPool pool{64 * kSegment, 3 * kSegment};
    const std::vector<EntryAddress> entries = fill(pool, 12);
    EXPECT_FALSE(pool.reserve(kQuarter));  // seals the last one
    EXPECT_EQ(pool.take_sparse(3 * kQuarter), nullptr);
    pool.kill(entries[5], kQuarter);
    Segment* const sparse = pool.take_sparse(3 * kQuarter);
    ASSERT_NE(sparse, nullptr);
    EXPECT_EQ(sparse->index, entries[4].segment);
    EXPECT_EQ(pool.take_sparse(3 * kQuarter), nullptr);
    EXPECT_EQ(pool.take_oldest()->index, entries[0].segment);
    EXPECT_EQ(pool.take_oldest()->index, entries[8].segment);
}

TEST(SegmentPool, MovingMayUseOneSegmentMore) {
    SegmentPool pool{64 * kSegment, 2 * kSegment};
    EXPECT_EQ(fill(pool, 100).size(), 8U);
    for (int i = 0; i < 4; ++i) EXPECT_TRUE(pool.reserve(kQuarter, SegmentPool::Purpose::moving));
    EXPECT_FALSE(pool.reserve(kQuarter, SegmentPool::Purpose::moving));
    EXPECT_EQ(pool.used(), 3 * kSegment);
}

TEST(SegmentPool, ASegmentIsNotUsedAgainWhileAThreadHasPinnedIt) {
    SegmentPool pool{64 * kSegment, kSegment};
    const std::vector<EntryAddress> entries = fill(pool, 4);
    std::atomic<int> pinned{0};
    std::atomic<int> compared{0};
    std::thread reader{[&] {
        const SegmentPool::Pin pin{pool, entries[0]};
        pinned.store(1);
        pinned.notify_all();
        for (int i = 0; i < 1000; ++i) {
            std::this_thread::yield();
            for (std::size_t at = 0; at < kQuarter; ++at) EXPECT_EQ(pool.address_of(entries[0])[at], std::byte{0});
        }
        compared.store(1);
    }};
    pinned.wait(0);
    for (const EntryAddress entry : entries) pool.kill(entry, kQuarter);
    Segment* const taken = pool.take_oldest();  // frees the open segment, whose entries are all dead
    EXPECT_EQ(taken, nullptr);
    EXPECT_EQ(compared.load(), 1);
    EXPECT_EQ(fill(pool, 4).size(), 4U);
    reader.join();
}

TEST(SegmentPool, ASegmentIsTakenWhenItsEntriesAreComplete) {
    SegmentPool pool{64 * kSegment, kSegment};
    std::atomic<int> reserved{0};
    std::atomic<int> filled{0};
    std::thread writer{[&] {
        const SegmentPool::Room room = pool.reserve(kQuarter);
        reserved.store(1);
        reserved.notify_all();
        for (int i = 0; i < 1000; ++i) std::this_thread::yield();
        std::memset(room.bytes(), 7, kQuarter);
        filled.store(1);
    }};
    reserved.wait(0);
    Segment* const taken = pool.take_oldest();
    EXPECT_EQ(filled.load(), 1);
    ASSERT_NE(taken, nullptr);
    writer.join();
}

TEST(SegmentPool, ThreadsGetBytesOfTheirOwnWhateverTheOrder) {
    const std::uint64_t seed = std::random_device{}();
    std::cout << "seed " << seed << '\n';
    SegmentPool pool{64 * kSegment, 8 * kSegment};
    std::vector<std::thread> threads;
    for (unsigned id = 0; id < 4; ++id) {
        threads.emplace_back([&pool, id, seed] {
            std::mt19937_64 random{seed + id};
            struct Held {
                EntryAddress entry;
                std::size_t bytes;
                int value;
            };
            std::vector<Held> held;
            for (int step = 0; step < 20000; ++step) {
                const std::size_t bytes = random() % 12000 + 1;
                const SegmentPool::Room room = random() % 3 != 0 ? pool.reserve(bytes) : SegmentPool::Room{};
                if (room) {
                    const int value = static_cast<int>(random() % 256);
                    std::memset(room.bytes(), value, bytes);
                    held.push_back({room.entry(), bytes, value});
                } else if (!held.empty()) {
                    std::swap(held[random() % held.size()], held.back());
                    const Held& dying = held.back();
                    const std::byte* const at = pool.address_of(dying.entry);
                    for (const std::size_t i : {std::size_t{0}, dying.bytes / 2, dying.bytes - 1}) {
                        EXPECT_EQ(at[i], static_cast<std::byte>(dying.value));
                    }
                    pool.kill(dying.entry, dying.bytes);
                    held.pop_back();
                }
                EXPECT_LE(pool.used(), pool.limit());
            }
            for (const Held& dying : held) pool.kill(dying.entry, dying.bytes);
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(pool.take_oldest(), nullptr);
    EXPECT_EQ(pool.used(), 0U);
    EXPECT_LE(resident(pool), 8 * kSegment);
}

}  // namespace
}  // namespace faultline::test
