// Freeing a pointer that is not a live block aborts, with a message that names the block.
#include "heap/heap_support.hpp"
#include "support/child.hpp"

#include <csignal>

namespace faultline::test {
namespace {

template <typename Body>
void expect_abort(Body body, const std::string& part) {
    const ChildEnd end = in_child([&] {
        SmallHeap its;
        body(its.heap);
        return 0;
    });
    EXPECT_TRUE(end.killed_by(SIGABRT)) << end;
    EXPECT_NE(end.said.find(part), std::string::npos) << end;
}

TEST(BadBlock, DoubleFreeAbortsAtOnceAndAfterOtherFrees) {
    expect_abort(
        [](Heap& heap) {
            void* const block = heap.allocate(100);
            heap.deallocate(block);
            heap.deallocate(block);
        },
        "double free or use after free");
    expect_abort(
        [](Heap& heap) {
            std::vector<void*> blocks;
            for (int i = 0; i < 1000; ++i) blocks.push_back(heap.allocate(100));
            for (int i = 0; i < 500; ++i) heap.deallocate(blocks[static_cast<std::size_t>(i)]);
            heap.deallocate(blocks[17]);
        },
        "of 112 bytes is free");
    expect_abort(
        [](Heap& heap) {
            void* const block = heap.allocate(kMiB);
            heap.deallocate(block);
            heap.deallocate(block);
        },
        "nothing is allocated there (double free, or never allocated)");
}

TEST(BadBlock, PointersInsideABlockOrOfAnotherHeapAbort) {
    expect_abort([](Heap& heap) { heap.deallocate(static_cast<std::byte*>(heap.allocate(100)) + 16); },
                 "it is inside the block at 0x");
    expect_abort([](Heap& heap) { heap.deallocate(static_cast<std::byte*>(heap.allocate(kMiB)) + 8192); }, "bytes");
    expect_abort([](Heap& heap) { heap.deallocate(static_cast<std::byte*>(heap.allocate(100)) + 10 * kMiB); },
                 "nothing is allocated there");
    expect_abort(
        [](Heap& heap) {
            int local = 0;
            heap.deallocate(&local);
        },
        "is not in this heap");
    expect_abort(
        [](Heap& heap) {
            SmallHeap other;
            heap.deallocate(other.heap.allocate(64));
        },
        "is not in this heap");
    expect_abort([](Heap& heap) { static_cast<void>(heap.usable_size(nullptr)); }, "null is not a block");
}

TEST(BadBlock, AWrongSizeAborts) {
    expect_abort([](Heap& heap) { heap.deallocate(heap.allocate(100), 1000); },
                 "is freed with a size of 1000 bytes, but has 112");
    expect_abort([](Heap& heap) { heap.deallocate(heap.allocate(kMiB), kMiB + 1); },
                 "is freed with a size of 1048577 bytes, but has 1048576");
}

TEST(BadBlock, ReallocatingAFreedBlockAborts) {
    expect_abort(
        [](Heap& heap) {
            void* const block = heap.allocate(3000);
            heap.deallocate(block);
            static_cast<void>(heap.try_reallocate(block, 100));
        },
        "double free or use after free");
}

}  // namespace
}  // namespace faultline::test
