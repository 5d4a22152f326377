// What a heap in managed memory promises beyond other heaps: dead pages are not written, metadata causes no fault, and
// a full reservation or store is reported without loss.
#include "heap/heap_support.hpp"
#include "pager/fake_store.hpp"

#include <algorithm>
#include <random>

namespace faultline::test {
namespace {

/// Evicts the heap's resident pages, as far as the smallest limit allows.
void evict(SmallHeap& its) {
    FakePager::settle();
    const std::size_t limit = its.pager.resident_limit();
    its.pager.set_resident_limit(64 * kKiB);
    its.pager.set_resident_limit(limit);
}

std::uint64_t faults(const SmallHeap& its) {
    FakePager::settle();
    const RegionStats stats = its.heap.stats().paging;
    return stats.first_touches + stats.hard_faults + stats.soft_faults + stats.write_faults;
}

TEST(HeapPaging, DeadPagesAreNeverWritten) {
    HeapOptions config = small_reservation();
    config.dead_bytes_kept = 64 * kMiB;  // no sweep runs by itself
    SmallHeap its{64 * kMiB, config};
    std::vector<void*> blocks;
    for (std::size_t i = 0; i < 400; ++i) {
        const std::size_t bytes = i % 3 == 0 ? 40 * kKiB : i % 3 == 1 ? 300 * kKiB : 5000;
        blocks.push_back(its.heap.allocate(bytes));
        std::memset(blocks.back(), 0x5a, bytes);
        if (blocks.size() > 100) {
            its.heap.deallocate(blocks.front());
            blocks.erase(blocks.begin());
        }
    }
    for (void* block : blocks) its.heap.deallocate(block);
    const HeapStats before = its.heap.stats();
    EXPECT_GT(before.dead_bytes, 10 * kMiB);
    evict(its);
    const HeapStats after = its.heap.stats();
    EXPECT_GT(after.paging.evictions, 0U);
    // Only pages of blocks that the thread still caches may be written.
    EXPECT_LE(after.paging.bytes_written, after.cached_bytes + 4096 * (after.cached_bytes / 4096 + 8));
}

TEST(HeapPaging, WithManyFreeFramesAFaultReadsTheLivePagesNearIt) {
    constexpr std::size_t kBytes = 4096;
    constexpr std::size_t kPagesOfBlock = 16;
    Config config = heap_config(8 * kMiB);
    config.read_ahead = true;
    HeapOptions options = small_reservation();
    options.dead_bytes_kept = 64 * kMiB;
    Pager pager{config};
    Heap heap{pager, options};
    std::vector<void*> blocks(64 * kPagesOfBlock);
    for (std::size_t i = 0; i < blocks.size(); ++i) {
        blocks[i] = heap.allocate(kBytes);
        fill(blocks[i], kBytes, i);
    }
    std::sort(blocks.begin(), blocks.end());
    FakePager::settle();
    pager.set_resident_limit(64 * kKiB);
    pager.set_resident_limit(8 * kMiB);
    const auto read_ahead_with = [&](std::size_t index) {
        FakePager::settle();
        const std::uint64_t before = heap.stats().paging.pages_read_ahead;
        *static_cast<volatile std::byte*>(blocks[index]) = *static_cast<std::byte*>(blocks[index]);
        FakePager::settle();
        return heap.stats().paging.pages_read_ahead - before;
    };
    EXPECT_EQ(read_ahead_with(20 * kPagesOfBlock + 5), kPagesOfBlock - 1);
    // In the middle, so that no cache holds the freed blocks.
    for (std::size_t i = 0; i < blocks.size(); i += 2) heap.deallocate(blocks[i]);
    EXPECT_EQ(read_ahead_with(40 * kPagesOfBlock + 5), kPagesOfBlock / 2 - 1) << "dead pages are not read";
}

TEST(HeapPaging, ADeadPageBetweenLivePagesOfASpanIsNotWritten) {
    HeapOptions config = small_reservation();
    config.dead_bytes_kept = 64 * kMiB;
    SmallHeap its{64 * kMiB, config};
    std::vector<std::byte*> blocks;
    for (int i = 0; i < 32; ++i) {
        blocks.push_back(static_cast<std::byte*>(its.heap.allocate(40 * kKiB)));
        fill(blocks.back(), 40 * kKiB, static_cast<std::uint64_t>(i));
    }
    for (std::size_t i = 0; i < blocks.size(); i += 2) its.heap.deallocate(blocks[i]);
    EXPECT_EQ(its.heap.stats().dead_bytes, 16 * 40 * kKiB);
    evict(its);
    FakePager::settle();
    EXPECT_LE(its.heap.stats().paging.bytes_written, 16 * 40 * kKiB);
    for (std::size_t i = 1; i < blocks.size(); i += 2) EXPECT_TRUE(holds(blocks[i], 40 * kKiB, i));
}

TEST(HeapPaging, BlocksOnPagesThatDiedAndLiveAgainAreNotLost) {
    HeapOptions config = small_reservation();
    config.dead_bytes_kept = 64 * kMiB;
    SmallHeap its{512 * kKiB, config};
    const unsigned seed = std::random_device{}();
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random{seed};
    std::vector<std::pair<void*, std::size_t>> blocks(60);
    for (std::size_t step = 0; step < 250; ++step) {
        auto& [block, bytes] = blocks[random() % blocks.size()];
        if (block != nullptr) {
            ASSERT_TRUE(holds(block, bytes, reinterpret_cast<std::uintptr_t>(block) ^ bytes)) << "step " << step;
            its.heap.deallocate(block, bytes);
        }
        bytes = random() % (40 * kKiB);
        block = its.heap.allocate(bytes);
        fill(block, bytes, reinterpret_cast<std::uintptr_t>(block) ^ bytes);
    }
    EXPECT_GT(its.heap.stats().paging.evictions, 0U);
}

TEST(HeapPaging, FreeingAndReadingFiguresReadNoPageBack) {
    SmallHeap its;
    std::vector<void*> blocks;
    for (std::size_t i = 0; i < 1000; ++i) {
        const std::size_t bytes = i % 100 == 0 ? 200 * kKiB : 16 + i % 5000;
        blocks.push_back(its.heap.allocate(bytes));
        std::memset(blocks.back(), 1, bytes);
    }
    evict(its);
    const std::uint64_t before = faults(its);
    std::size_t usable = 0;
    for (void* block : blocks) usable += its.heap.usable_size(block);
    EXPECT_EQ(usable, its.heap.stats().live_bytes);
    for (std::size_t i = 0; i < blocks.size(); i += 2) its.heap.deallocate(blocks[i]);
    for (std::size_t i = 0; i < blocks.size(); i += 2) blocks[i] = its.heap.allocate(i % 100 == 0 ? 200 * kKiB : 700);
    for (void* block : blocks) its.heap.deallocate(block);
    its.heap.trim();
    EXPECT_EQ(faults(its), before);
    EXPECT_EQ(its.heap.stats().live_bytes, 0U);
}

TEST(HeapPaging, TrimDiscardsAllUnusedPagesAndLowersTheBreak) {
    SmallHeap its;
    void* const kept = its.heap.allocate(100);
    std::memset(kept, 3, 100);
    std::vector<void*> blocks;
    for (std::size_t i = 0; i < 2000; ++i) {
        blocks.push_back(its.heap.allocate(1 + i * 37 % 9000));
        std::memset(blocks.back(), 1, 1 + i * 37 % 9000);
    }
    void* const large = its.heap.allocate(5 * kMiB);
    std::memset(large, 2, 5 * kMiB);
    const std::uint64_t high = its.heap.stats().break_bytes;
    for (void* block : blocks) its.heap.deallocate(block);
    its.heap.deallocate(large);
    EXPECT_GT(its.heap.trim(), 0U);
    const HeapStats stats = its.heap.stats();
    EXPECT_LT(stats.break_bytes, high / 4);
    EXPECT_EQ(stats.mapping_bytes, 0U);
    EXPECT_EQ(stats.dead_bytes, 0U);
    EXPECT_EQ(stats.cached_bytes, 0U);
    EXPECT_LE(stats.paging.resident_bytes + stats.paging.staged_bytes + stats.paging.swapped_bytes, 2 * 4096U);
    EXPECT_EQ(its.heap.usable_size(kept), 112U);
    EXPECT_EQ(static_cast<unsigned char*>(kept)[99], 3);
}

TEST(HeapPaging, DeadBytesStayBelowTheirLimitAndTheBreakFalls) {
    HeapOptions config = small_reservation();
    config.dead_bytes_kept = kMiB;
    SmallHeap its{64 * kMiB, config};
    for (int round = 0; round < 5; ++round) {
        std::vector<void*> blocks;
        for (int i = 0; i < 100; ++i) blocks.push_back(std::memset(its.heap.allocate(50 * kKiB), 1, 50 * kKiB));
        void* const large = std::memset(its.heap.allocate(3 * kMiB), 1, 3 * kMiB);
        const HeapStats high = its.heap.stats();
        its.heap.deallocate(large);
        for (; !blocks.empty(); blocks.pop_back()) its.heap.deallocate(blocks.back());
        const HeapStats low = its.heap.stats();
        ASSERT_LE(low.dead_bytes, kMiB);
        ASSERT_LT(low.break_bytes, high.break_bytes / 2);
        ASSERT_LT(low.mapping_bytes, high.mapping_bytes / 2);
    }
    EXPECT_GT(its.heap.stats().discarded_bytes, 10 * kMiB);
}

TEST(HeapPaging, AFullReservationThrowsBadAllocAndFreedBlocksCanBeReused) {
    SmallHeap its{8 * kMiB, small_reservation(4 * kMiB)};
    for (int round = 0; round < 3; ++round) {
        std::vector<std::pair<void*, std::size_t>> blocks;
        for (std::size_t bytes = 1;; bytes = bytes * 3 % 300'007) {
            void* const block = its.heap.try_allocate(bytes);
            if (block == nullptr) break;
            fill(block, bytes, bytes);
            blocks.emplace_back(block, bytes);
        }
        EXPECT_THROW(static_cast<void>(its.heap.allocate(4 * kMiB)), std::bad_alloc);
        EXPECT_GT(its.heap.stats().live_bytes, kMiB);
        for (const auto& [block, bytes] : blocks)
            ASSERT_TRUE(holds(block, bytes, bytes)) << "a failed allocation changed a block";
        for (const auto& [block, bytes] : blocks) its.heap.deallocate(block, bytes);
        its.heap.trim();
        void* const nearly_all = its.heap.try_allocate(3 * kMiB);
        ASSERT_NE(nearly_all, nullptr);
        its.heap.deallocate(nearly_all);
    }
}

/// Stores that together hold a fixed number of bytes, and report the room left.
class SmallStores final : public store::StoreFactory {
public:
    explicit SmallStores(std::int64_t capacity) : left_{capacity} {}
    std::unique_ptr<store::BackingStore> open(std::uint64_t bytes) override {
        return std::make_unique<SmallStore>(left_, bytes);
    }
    std::uint64_t room() noexcept override { return static_cast<std::uint64_t>(left_.load()); }

private:
    class SmallStore final : public store::BackingStore {
    public:
        SmallStore(std::atomic<std::int64_t>& left, std::uint64_t bytes)
            : left_{left}, bytes_(bytes), stored_(bytes / kBasePageBytes) {}

        int read(std::uint64_t offset, std::span<std::byte> into) noexcept override {
            std::memcpy(into.data(), bytes_.data() + offset, into.size());
            return 0;
        }
        int write(std::uint64_t offset, std::span<const std::byte> from) noexcept override {
            for (std::uint64_t at = offset; at < offset + from.size(); at += kBasePageBytes) {
                if (stored_[at / kBasePageBytes].exchange(true)) continue;
                if (left_.fetch_sub(kBasePageBytes) >= static_cast<std::int64_t>(kBasePageBytes)) continue;
                left_.fetch_add(kBasePageBytes);
                stored_[at / kBasePageBytes].store(false);
                return ENOSPC;
            }
            std::memcpy(bytes_.data() + offset, from.data(), from.size());
            return 0;
        }
        void discard(std::uint64_t offset, std::uint64_t bytes) noexcept override {
            for (std::uint64_t at = offset; at < offset + bytes; at += kBasePageBytes) {
                if (stored_[at / kBasePageBytes].exchange(false)) left_.fetch_add(kBasePageBytes);
            }
        }

    private:
        std::atomic<std::int64_t>& left_;
        std::vector<std::byte> bytes_;
        std::vector<std::atomic<bool>> stored_;
    };

    std::atomic<std::int64_t> left_;
};

TEST(HeapPaging, AFullStoreMakesAllocationFailBeforeDataIsLost) {
    const auto pager = std::make_shared<pager::Pager>(heap_config(2 * kMiB), std::make_unique<SmallStores>(4 * kMiB));
    heap::Heap heap{pager, small_reservation(64 * kMiB)};
    std::vector<void*> blocks;
    for (void* block = heap.try_allocate(50'000); block != nullptr; block = heap.try_allocate(50'000)) {
        fill(block, 50'000, blocks.size());
        blocks.push_back(block);
        ASSERT_LT(blocks.size(), 1000U);
    }
    EXPECT_EQ(heap.try_allocate(8 * kMiB), nullptr);
    EXPECT_GT(heap.stats().live_bytes, 3 * kMiB);
    EXPECT_LT(heap.stats().live_bytes, 6 * kMiB);
    for (std::size_t i = 0; i < blocks.size(); ++i) ASSERT_TRUE(holds(blocks[i], 50'000, i));
    heap.deallocate(blocks.back());
    EXPECT_NE(heap.try_allocate(50'000), nullptr);
}

TEST(HeapPaging, DestroyingAHeapDropsItsPagesAndLeavesOtherHeaps) {
    Pager pager{heap_config(4 * kMiB)};
    Heap stays{pager, small_reservation()};
    void* const block = stays.allocate(10'000);
    fill(block, 10'000, 1);
    for (int round = 0; round < 2; ++round) {
        Heap goes{pager, small_reservation()};
        for (int i = 0; i < 500; ++i) std::memset(goes.allocate(20'000), 1, 20'000);
        FakePager::settle();
        const std::uint64_t read = pager.stats().bytes_read;
        goes.destroy();
        EXPECT_FALSE(goes);
        const PagerStats stats = pager.stats();
        EXPECT_LE(stats.resident_bytes + stats.staged_bytes + stats.swapped_bytes, 64 * kKiB);
        EXPECT_EQ(stats.bytes_read, read);
    }
    EXPECT_TRUE(holds(block, 10'000, 1));
    Heap moved{std::move(stays)};
    EXPECT_EQ(moved.usable_size(block), 10'240U);
    moved.deallocate(block);
}

TEST(HeapPaging, APinnedBlockStaysResidentAndItsHeapCannotBeDestroyed) {
    SmallHeap its{kMiB};
    void* const block = its.heap.allocate(100 * kKiB);
    fill(block, 100 * kKiB, 1);
    {
        const Pin pin = its.heap.pin(block, 100 * kKiB);
        std::memset(its.heap.allocate(2 * kMiB), 1, 2 * kMiB);
        EXPECT_GE(its.heap.stats().paging.pinned_bytes, 100 * kKiB);
        const std::uint64_t before = faults(its);
        EXPECT_TRUE(holds(block, 100 * kKiB, 1));
        EXPECT_EQ(faults(its), before);
        expect_refused([&] { its.heap.destroy(); }, EBUSY, "pinned");
    }
    EXPECT_TRUE(holds(block, 100 * kKiB, 1)) << "the failed destroy changed the heap";
    int outside = 0;
    expect_refused([&] { static_cast<void>(its.heap.pin(&outside, 4)); }, EINVAL, "not inside the heap");
    expect_refused([&] { its.heap.advise(&outside, 4, Advice::cold); }, EINVAL, "not inside the heap");
}

TEST(HeapPaging, AHeapCanBeDestroyedWhileThreadsThatUsedItLive) {
    Pager pager{heap_config(4 * kMiB)};
    std::thread{[&] {
        for (int i = 0; i < 40; ++i) {  // more heaps than a thread's RecentCaches
            Heap heap{pager, small_reservation()};
            void* const block = heap.allocate(64);
            heap.deallocate(block);
            Heap other{pager, small_reservation()};
            ASSERT_FALSE(other.owns(heap.allocate(64)));
            other.deallocate(other.allocate(64));
        }
    }}.join();
    EXPECT_EQ(pager.stats().resident_bytes, 0U);
}

TEST(HeapPaging, ResidencyCoversTheAddressesInUse) {
    SmallHeap its{2 * kMiB};
    std::vector<ResidencyCell> cells(64);
    its.heap.residency(cells);
    const auto sum = [&](auto part) {
        std::uint64_t bytes = 0;
        for (const ResidencyCell& cell : cells) bytes += cell.*part;
        return bytes;
    };
    EXPECT_EQ(sum(&ResidencyCell::untouched) + sum(&ResidencyCell::resident), 0U)
        << "an empty heap has no pages to show";

    void* const small = its.heap.allocate(1000);
    void* const large = its.heap.allocate(8 * kMiB);
    std::memset(small, 1, 1000);
    std::memset(large, 1, 8 * kMiB);
    FakePager::settle();
    its.heap.residency(cells);
    const HeapStats stats = its.heap.stats();
    EXPECT_EQ(sum(&ResidencyCell::resident), stats.paging.resident_bytes);
    EXPECT_EQ(sum(&ResidencyCell::swapped), stats.paging.swapped_bytes);
    EXPECT_GE(sum(&ResidencyCell::swapped), 6 * kMiB);
    EXPECT_EQ(sum(&ResidencyCell::untouched) + sum(&ResidencyCell::resident) + sum(&ResidencyCell::staged) +
                  sum(&ResidencyCell::swapped),
              stats.break_bytes + stats.mapping_bytes);
    its.heap.deallocate(small);
    its.heap.deallocate(large);
}

}  // namespace
}  // namespace faultline::test
