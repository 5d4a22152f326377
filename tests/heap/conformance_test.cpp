// The contract of any allocator, on managed memory: sizes, alignments, zeros, reallocation, threads.
#include "heap/heap_support.hpp"
#include "pager/fake_store.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <limits>
#include <random>
#include <set>
#include <system_error>
#include <thread>

namespace faultline::test {
namespace {

TEST(HeapConformance, BlocksOfEverySizeAreApartAlignedAndKeepTheirBytes) {
    SmallHeap its;
    std::vector<std::pair<std::byte*, std::size_t>> blocks;
    for (std::size_t bytes = 0; bytes < 400'000; bytes += bytes / 7 + 1) {
        auto* const block = static_cast<std::byte*>(its.heap.allocate(bytes));
        ASSERT_TRUE(is_aligned(block, 16));
        ASSERT_TRUE(its.heap.owns(block));
        ASSERT_GE(its.heap.usable_size(block), bytes);
        fill(block, its.heap.usable_size(block), bytes);
        blocks.emplace_back(block, bytes);
    }
    for (const auto& [block, bytes] : blocks) {
        ASSERT_TRUE(holds(block, its.heap.usable_size(block), bytes)) << bytes;
        its.heap.deallocate(block, bytes);
    }
    EXPECT_EQ(its.heap.stats().live_blocks, 0U);
}

TEST(HeapConformance, ZeroBytesGiveABlockAndNullMayBeFreed) {
    SmallHeap its;
    std::set<void*> blocks;
    for (int i = 0; i < 100; ++i) EXPECT_TRUE(blocks.insert(its.heap.allocate(0)).second);
    EXPECT_EQ(its.heap.stats().live_blocks, 100U);
    for (void* block : blocks) its.heap.deallocate(block);
    its.heap.deallocate(nullptr);
    its.heap.deallocate(nullptr, 0);
    EXPECT_EQ(its.heap.stats().live_blocks, 0U);
}

TEST(HeapConformance, AlignmentsUpToTwoMebibytesAreKept) {
    SmallHeap its;
    for (std::size_t alignment = 1; alignment <= 2 * kMiB; alignment *= 2) {
        for (const std::size_t bytes : {std::size_t{1}, std::size_t{24}, std::size_t{1000}, std::size_t{5000},
                                        std::size_t{100'000}, std::size_t{300'000}}) {
            void* const first = its.heap.allocate(bytes, alignment);
            void* const second = its.heap.allocate(bytes, alignment);
            EXPECT_TRUE(is_aligned(first, alignment) && is_aligned(second, alignment)) << bytes << ' ' << alignment;
            EXPECT_GE(its.heap.usable_size(first), bytes);
            its.heap.deallocate(first, bytes);
            its.heap.deallocate(second, bytes);
        }
    }
    EXPECT_EQ(its.heap.stats().live_blocks, 0U);
    EXPECT_EQ(its.heap.try_allocate(1, 3), nullptr);
    EXPECT_EQ(its.heap.try_allocate(1, 0), nullptr);
    EXPECT_EQ(its.heap.try_allocate(1, 4 * kMiB), nullptr);
}

TEST(HeapConformance, SizesThatOverflowAreRefused) {
    SmallHeap its;
    constexpr std::size_t kMost = std::numeric_limits<std::size_t>::max();
    for (const std::size_t bytes : {kMost, kMost - 15, kMost - 4095, kMost / 2, std::size_t{1} << 47}) {
        EXPECT_EQ(its.heap.try_allocate(bytes), nullptr);
        EXPECT_EQ(its.heap.try_allocate(bytes, 4096), nullptr);
        EXPECT_EQ(its.heap.try_allocate_zeroed(1, bytes), nullptr);
        EXPECT_THROW(static_cast<void>(its.heap.allocate(bytes)), std::bad_alloc);
    }
    EXPECT_EQ(its.heap.try_allocate_zeroed(std::size_t{1} << 33, std::size_t{1} << 33), nullptr);
    void* const block = its.heap.allocate(100);
    EXPECT_EQ(its.heap.try_reallocate(block, kMost), nullptr);
    void* const large = its.heap.allocate(kMiB);
    EXPECT_EQ(its.heap.try_reallocate(large, kMost), nullptr);
    EXPECT_EQ(its.heap.stats().live_blocks, 2U);
}

TEST(HeapConformance, ZeroedBlocksAreZerosEvenInReusedMemory) {
    SmallHeap its;
    for (const std::size_t bytes : {std::size_t{40}, std::size_t{3000}, std::size_t{5000}, std::size_t{28'000},
                                    std::size_t{70'000}, 300 * kKiB, 2 * kMiB}) {
        std::vector<void*> blocks;
        for (int round = 0; round < 3; ++round) {
            for (int i = 0; i < 12; ++i) {
                void* const block = its.heap.try_allocate_zeroed(1, bytes);
                ASSERT_NE(block, nullptr);
                ASSERT_TRUE(all_zeros(static_cast<std::byte*>(block), bytes)) << bytes << " round " << round;
                std::memset(block, 0xa5, its.heap.usable_size(block));
                blocks.push_back(block);
            }
            for (std::size_t i = 0; i < blocks.size(); i += 1) its.heap.deallocate(blocks[i]);
            blocks.clear();
        }
    }
}

TEST(HeapConformance, ZeroedBlocksDoNotTouchFreshPages) {
    SmallHeap its;
    FakePager::settle();
    const std::uint64_t before = its.heap.stats().paging.first_touches;
    for (const std::size_t bytes : {std::size_t{8192}, std::size_t{64} * kKiB, 4 * kMiB}) {
        EXPECT_NE(its.heap.try_allocate_zeroed(1, bytes), nullptr);
    }
    FakePager::settle();
    EXPECT_EQ(its.heap.stats().paging.first_touches, before);
}

TEST(HeapConformance, ReallocationKeepsTheBytesInEveryCase) {
    SmallHeap its;
    const unsigned seed = std::random_device{}();
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random{seed};
    struct Held {
        void* block;
        std::size_t bytes;
        std::uint64_t seed;
    };
    std::vector<Held> held;
    for (std::size_t i = 0; i < 8; ++i) {
        held.push_back({its.heap.try_reallocate(nullptr, 64), 64, i});
        fill(held[i].block, 64, i);
    }
    for (int step = 0; step < 400; ++step) {
        Held& one = held[random() % held.size()];
        const std::size_t bytes = (std::size_t{8} << (random() % 17)) + random() % 64 * 8;
        ASSERT_TRUE(holds(one.block, one.bytes, one.seed)) << "before step " << step;
        void* const moved = its.heap.try_reallocate(one.block, bytes);
        ASSERT_NE(moved, nullptr);
        ASSERT_GE(its.heap.usable_size(moved), bytes);
        ASSERT_TRUE(holds(moved, std::min(bytes, one.bytes), one.seed)) << one.bytes << " to " << bytes;
        one = {moved, bytes, static_cast<std::uint64_t>(step) + 100};
        fill(moved, bytes, one.seed);
    }
    for (const Held& one : held) its.heap.deallocate(one.block);
    EXPECT_EQ(its.heap.stats().live_blocks, 0U);
}

TEST(HeapConformance, AGrowingLargeBlockMovesOnceAndThenStays) {
    SmallHeap its;
    void* block = its.heap.allocate(kMiB);
    void* const below = its.heap.allocate(kMiB);
    fill(block, kMiB, 7);
    int moves = 0;
    for (std::size_t bytes = kMiB; bytes <= 2 * kMiB; bytes += 64 * kKiB) {
        void* const grown = its.heap.try_reallocate(block, bytes);
        ASSERT_NE(grown, nullptr);
        moves += grown != block ? 1 : 0;
        block = grown;
    }
    EXPECT_LE(moves, 1);
    EXPECT_TRUE(holds(block, kMiB, 7));
    void* const shrunk = its.heap.try_reallocate(block, 512 * kKiB);
    EXPECT_EQ(shrunk, block);
    EXPECT_EQ(its.heap.usable_size(shrunk), 512 * kKiB);
    its.heap.deallocate(below);
}

TEST(HeapConformance, AnyThreadMayFreeABlockEvenAfterItsThreadHasEnded) {
    SmallHeap its;
    std::vector<void*> blocks(2000);
    std::thread{[&] {
        for (std::size_t i = 0; i < blocks.size(); ++i) {
            blocks[i] = its.heap.allocate(16 + i % 500);
            fill(blocks[i], 16 + i % 500, i);
        }
    }}.join();
    EXPECT_EQ(its.heap.stats().cached_bytes, 0U) << "an ended thread caches no block";
    std::thread{[&] {
        for (std::size_t i = 0; i < blocks.size(); ++i) {
            ASSERT_TRUE(holds(blocks[i], 16 + i % 500, i));
            its.heap.deallocate(blocks[i]);
        }
    }}.join();
    EXPECT_EQ(its.heap.stats().live_blocks, 0U);
    EXPECT_LE(its.heap.stats().cached_bytes, kMiB) << "batches between threads take a small part of the limit at most";
    its.heap.trim();
    EXPECT_EQ(its.heap.stats().cached_bytes, 0U);
}

TEST(HeapConformance, BatchesBetweenThreadsAreUsedWhenTheReservationIsFull) {
    SmallHeap its{64 * kMiB, small_reservation(kMiB)};
    const auto take_all = [&] {
        std::vector<void*> blocks;
        while (void* const block = its.heap.try_allocate(8 * kKiB)) blocks.push_back(block);
        for (void* const block : blocks) its.heap.deallocate(block);
        return blocks.size();
    };
    const std::size_t most = take_all();
    ASSERT_GT(most, 0U);
    its.heap.trim();
    std::thread{[&] {
        std::vector<void*> blocks(8000);
        for (void*& block : blocks) block = its.heap.allocate(64);
        for (void* const block : blocks) its.heap.deallocate(block);
    }}.join();
    EXPECT_EQ(its.heap.stats().live_blocks, 0U);
    EXPECT_GT(its.heap.stats().cached_bytes, 0U) << "the test needs batches between threads";
    EXPECT_EQ(take_all(), most);
}

TEST(HeapConformance, ThreadsBeyondTheNumberOfCachesAllocateAndFree) {
    if (kSanitized) GTEST_SKIP() << "so many threads are slow under a sanitizer";
    constexpr std::size_t kThreads = 4100;  // 4096 have a cache
    SmallHeap its;
    std::vector<std::thread> threads;
    std::vector<void*> blocks(kThreads);
    std::atomic<std::size_t> done{0};
    std::atomic<bool> go{false};
    try {
        while (threads.size() < kThreads) {
            threads.emplace_back([&, index = threads.size()] {
                blocks[index] = its.heap.allocate(100);
                its.heap.deallocate(its.heap.allocate(200));
                ++done;
                go.wait(false);
                its.heap.deallocate(blocks[index]);
            });
        }
    } catch (const std::system_error&) {
    }
    while (done < threads.size()) std::this_thread::yield();
    const HeapStats stats = its.heap.stats();
    go = true;
    go.notify_all();
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(stats.live_blocks, threads.size());
    EXPECT_EQ(its.heap.stats().live_blocks, 0U);
    if (threads.size() < kThreads) GTEST_SKIP() << "the machine allows " << threads.size() << " threads only";
}

TEST(HeapConformance, ImpossibleConfigurationsAreRefused) {
    Pager pager{heap_config(kMiB)};
    HeapOptions config;
    config.reservation = 1000;
    expect_refused([&] { Heap{pager, config}; }, EINVAL, "reservation");
    config = {};
    config.large_threshold = 2 * kMiB;
    expect_refused([&] { Heap{pager, config}; }, EINVAL, "large_threshold");
}

TEST(HeapConformance, TheThresholdDecidesWhichBlocksHavePagesOfTheirOwn) {
    HeapOptions config = small_reservation();
    config.large_threshold = 8 * kKiB;
    SmallHeap its{64 * kMiB, config};
    void* const small = its.heap.allocate(8 * kKiB);
    EXPECT_EQ(its.heap.stats().large_blocks, 0U);
    void* const large = its.heap.allocate(8 * kKiB + 1);
    EXPECT_EQ(its.heap.stats().large_blocks, 1U);
    EXPECT_GT(large, small) << "a large block comes from the top of the reservation";
}

}  // namespace
}  // namespace faultline::test
