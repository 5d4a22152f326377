// A heap in a child of fork: it works if the pager is inherited; if not, the child can only drop its handle.
#include "heap/heap_support.hpp"
#include "support/child.hpp"

#include <array>
#include <atomic>
#include <random>
#include <thread>

namespace faultline::test {
namespace {

TEST(HeapFork, AnInheritingChildUsesTheSameBlocks) {
#ifdef __SANITIZE_THREAD__
    GTEST_SKIP() << "ThreadSanitizer knows no threads started after a fork";
#endif
    Config config = heap_config(kMiB);
    config.fork = ForkPolicy::inherit;
    Pager pager{config};
    Heap heap{pager, small_reservation()};
    std::vector<void*> blocks;
    for (std::size_t i = 0; i < 300; ++i) {
        blocks.push_back(heap.allocate(10'000));
        fill(blocks.back(), 10'000, i);
    }
    for (std::size_t i = 0; i < 300; i += 3) heap.deallocate(std::exchange(blocks[i], nullptr));
    const auto wrong = [&] {
        int count = 0;
        for (std::size_t i = 0; i < 300; ++i) count += blocks[i] != nullptr && !holds(blocks[i], 10'000, i) ? 1 : 0;
        return count;
    };
    const ChildEnd end = in_child([&] {
        if (wrong() != 0) return 1;
        for (std::size_t i = 0; i < 300; ++i) {
            if (blocks[i] == nullptr) fill(blocks[i] = heap.allocate(10'000), 10'000, i);
        }
        if (wrong() != 0) return 2;
        for (void* block : blocks) heap.deallocate(block);
        heap.trim();
        return heap.stats().live_blocks == 0 && heap.stats().break_bytes == 0 ? 0 : 3;
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
    EXPECT_EQ(wrong(), 0);
}

TEST(HeapFork, AChildThatDoesNotInheritCanDropItsHandle) {
    auto its = std::make_unique<SmallHeap>();
    void* const block = its->heap.allocate(100'000);
    fill(block, 100'000, 1);
    const ChildEnd end = in_child([&] {
        its->heap.deallocate(block);
        its->heap.trim();
        its.reset();
        return 0;
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
    EXPECT_TRUE(holds(block, 100'000, 1));
}

/// The blocks of one thread, recorded where a child of fork finds them.
class Busy {
public:
    Busy(Heap& heap, unsigned seed) : heap_{heap}, random_{seed} {}

    /// Allocates and frees. At any moment at most one live block is in no slot.
    void work(const std::atomic<bool>& stop) {
        while (!stop.load(std::memory_order_relaxed)) {
            void*& slot = slots_[random_() % slots_.size()];
            if (void* const had = slot; had != nullptr) {
                slot = nullptr;
                heap_.deallocate(had);
            } else {
                const auto kind = random_() % 100;
                const std::size_t bytes = kind < 2 ? 200'000 : kind < 10 ? 5000 + random_() % 60'000 : random_() % 600;
                slot = kind % 2 == 0 ? heap_.try_allocate(bytes) : heap_.try_allocate_zeroed(1, bytes);
            }
            ++steps;
        }
    }
    void free_all() {
        for (void*& slot : slots_) heap_.deallocate(std::exchange(slot, nullptr));
    }

    std::atomic<std::uint64_t> steps{0};

private:
    Heap& heap_;
    std::mt19937 random_;
    std::array<void*, 300> slots_{};
};

class HeapForkAmongThreads : public testing::TestWithParam<Delivery> {};

TEST_P(HeapForkAmongThreads, AChildHasAWorkingHeapAndLosesAtMostOneBlockPerThread) {
#ifdef __SANITIZE_THREAD__
    GTEST_SKIP() << "ThreadSanitizer knows no threads started after a fork";
#endif
    const Watchdog watchdog;
    constexpr unsigned kThreads = 3;
    const unsigned seed = std::random_device{}();
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Config config = heap_config(2 * kMiB, GetParam());
    config.fork = ForkPolicy::inherit;
    FAULTLINE_PAGER_OR_SKIP(pager, config);
    Heap heap{pager, small_reservation(64 * kMiB)};
    std::vector<void*> blocks;
    for (std::size_t i = 0; i < 100; ++i) fill(blocks.emplace_back(heap.allocate(10'000)), 10'000, i);
    const auto wrong = [&] {
        int count = 0;
        for (std::size_t i = 0; i < blocks.size(); ++i) count += holds(blocks[i], 10'000, i) ? 0 : 1;
        return count;
    };

    std::vector<std::unique_ptr<Busy>> busy;
    for (unsigned i = 0; i < kThreads; ++i) busy.push_back(std::make_unique<Busy>(heap, seed + i));
    const auto in_the_child = [&] {
        if (wrong() != 0) return 1;
        for (const auto& one : busy) one->free_all();
        // New threads take over the caches of the parent's threads.
        run_threads(kThreads + 1, [&](unsigned) {
            for (std::size_t bytes = 16; bytes < 300'000; bytes += bytes / 4 + 16) {
                void* const block = heap.allocate(bytes);
                fill(block, bytes, bytes);
                if (!holds(block, bytes, bytes)) ::_exit(2);
                heap.deallocate(block);
            }
        });
        for (void* const block : blocks) heap.deallocate(block);
        heap.trim();
        const HeapStats stats = heap.stats();
        return stats.live_blocks <= kThreads && stats.cached_bytes == 0 ? 0 : 3;
    };
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    for (const auto& one : busy) threads.emplace_back([&stop, &its = *one] { its.work(stop); });
    for (int forks = 0; forks < (kSanitized ? 4 : 10); ++forks) {
        const std::uint64_t before = busy[0]->steps;
        const ChildEnd end = in_child(in_the_child);
        EXPECT_TRUE(end.exited_with(0)) << end;
        while (busy[0]->steps == before) std::this_thread::yield();
    }
    stop = true;
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(wrong(), 0);
}

INSTANTIATE_TEST_SUITE_P(Deliveries, HeapForkAmongThreads, testing::Values(Delivery::uffd_signal, Delivery::sigsegv),
                         [](const auto& one) { return std::string(to_string(one.param)); });

}  // namespace
}  // namespace faultline::test
