// A heap in a child of fork: all of it where the pager is inherited, else nothing that could do harm.
#include "heap/heap_support.hpp"
#include "support/child.hpp"

namespace faultline::test {
namespace {

TEST(HeapFork, AChildThatInheritsGoesOnWithTheSameBlocks) {
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

TEST(HeapFork, AChildThatDoesNotInheritMayDropItsHandle) {
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

}  // namespace
}  // namespace faultline::test
