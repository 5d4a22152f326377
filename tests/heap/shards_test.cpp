// Which threads share spans: those of one shard. Blocks that another thread frees, and spans whose threads have ended,
// are used again.
#include "heap/heap_support.hpp"
#include "heap/shard.hpp"

#include <algorithm>
#include <barrier>
#include <set>
#include <thread>

namespace faultline::test {
namespace {

constexpr std::size_t kBytes = 160;

std::vector<void*> allocate_many(Heap& heap, std::size_t count) {
    std::vector<void*> blocks(count);
    for (void*& block : blocks) block = heap.allocate(kBytes);
    return blocks;
}
void free_all(Heap& heap, const std::vector<void*>& blocks) {
    for (void* block : blocks) heap.deallocate(block);
}
std::set<std::uintptr_t> pages_of(const std::vector<void*>& blocks) {
    std::set<std::uintptr_t> pages;
    for (void* block : blocks) pages.insert(reinterpret_cast<std::uintptr_t>(block) / 4096);
    return pages;
}

TEST(HeapShards, ThreadsThatRunAtOnceShareNoPage) {
    SmallHeap its;
    std::array<std::set<std::uintptr_t>, heap::kShards> pages;
    std::barrier all_have_allocated{std::ptrdiff_t{heap::kShards}};
    std::vector<std::thread> threads;
    for (auto& mine : pages) {
        threads.emplace_back([&] {
            for (int round = 0; round < 10; ++round) {
                const std::vector<void*> blocks = allocate_many(its.heap, 2000);
                for (std::size_t i = 0; i < blocks.size(); ++i) {
                    if (i % 4 != 0) its.heap.deallocate(blocks[i]);
                }
            }
            mine = pages_of(allocate_many(its.heap, 2000));
            all_have_allocated.arrive_and_wait();
        });
    }
    for (std::thread& thread : threads) thread.join();
    std::set<std::uintptr_t> seen;
    for (const auto& mine : pages) {
        for (const std::uintptr_t page : mine) EXPECT_TRUE(seen.insert(page).second) << "two threads use a page";
    }
}

TEST(HeapShards, SpansOfThreadsThatHaveEndedAreUsedAgain) {
    SmallHeap its;
    static_cast<void>(its.heap.allocate(1));  // this thread has a shard of its own
    std::uint64_t spans = 0;
    std::vector<void*> kept;
    std::thread{[&] {
        const std::vector<void*> blocks = allocate_many(its.heap, 40'000);
        for (std::size_t i = 0; i < blocks.size(); ++i) {
            if (i % 8 == 0) {
                kept.push_back(blocks[i]);
            } else {
                its.heap.deallocate(blocks[i]);
            }
        }
        spans = its.heap.stats().break_bytes;
    }}.join();
    // The other thread freed seven eighths. A quarter of each span stays free: see ClassSpans::best.
    const std::vector<void*> others = allocate_many(its.heap, 24'000);
    EXPECT_EQ(its.heap.stats().break_bytes, spans);
    free_all(its.heap, others);
    free_all(its.heap, kept);
    EXPECT_EQ(its.heap.stats().live_blocks, 1U);
}

TEST(HeapShards, BlocksThatAnotherThreadFreesGoBackToTheirShard) {
    SmallHeap its;
    std::vector<void*> handed;
    std::barrier turn{2};
    std::uint64_t after_some_rounds = 0;
    constexpr int kRounds = 200;
    std::thread consumer{[&] {
        for (int round = 0; round < kRounds; ++round) {
            turn.arrive_and_wait();
            free_all(its.heap, handed);
            turn.arrive_and_wait();
        }
    }};
    for (int round = 0; round < kRounds; ++round) {
        handed = allocate_many(its.heap, 3000);
        turn.arrive_and_wait();
        turn.arrive_and_wait();
        if (round == 5) after_some_rounds = its.heap.stats().break_bytes;
    }
    consumer.join();
    EXPECT_EQ(its.heap.stats().break_bytes, after_some_rounds);
    EXPECT_EQ(its.heap.stats().live_blocks, 0U);
}

TEST(HeapShards, AFullHeapTakesBlocksFromEveryShard) {
    SmallHeap its{64 * kMiB, small_reservation(4 * kMiB)};
    static_cast<void>(its.heap.allocate(1));
    std::barrier turn{2};
    std::vector<void*> blocks;
    std::thread other{[&] {
        while (void* const block = its.heap.try_allocate(kBytes)) blocks.push_back(block);
        // One block of each span stays, so that no span is freed.
        for (std::size_t i = 0; i < blocks.size(); ++i) {
            if (i % 64 != 0) its.heap.deallocate(blocks[i]);
        }
        turn.arrive_and_wait();
        turn.arrive_and_wait();
    }};
    turn.arrive_and_wait();
    std::size_t taken = 0;
    while (its.heap.try_allocate(kBytes) != nullptr) ++taken;
    turn.arrive_and_wait();
    other.join();
    // All but those that stayed, and those that the other thread's cache holds.
    EXPECT_GE(taken, blocks.size() / 64 * 63 - 256);
}

}  // namespace
}  // namespace faultline::test
