// Compressed copies, in memory, of pages that a swap file has: they save reads, are dropped without a write, and no
// thread that uses the page otherwise can tell.
#include "store/swap_fixture.hpp"
#include "store/test_queues.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <vector>

namespace faultline::test {
namespace {

using store::Whereabouts;

class CopiedPages : public CompressedSwapTest<64>, public testing::WithParamInterface<std::size_t> {
protected:
    static constexpr std::uint64_t kPages = 8;

    void SetUp() override {
        region_ = &swap_.region(kPages, GetParam());
        for (std::uint64_t page = 0; page < kPages; ++page) region_->write(page, textlike(page));
        ASSERT_EQ(swap_.spill_all(), 0);
        ASSERT_FALSE(in_memory(0));
    }
    [[nodiscard]] bool in_memory(std::uint64_t page) { return in_memory(*region_, page); }
    [[nodiscard]] static bool in_memory(Remembered& region, std::uint64_t page) {
        return region.store().whereabouts(page * GetParam()).place == Whereabouts::Place::compressed;
    }
    void copy_all() {
        for (std::uint64_t page = 0; page < kPages; ++page) region_->keep_copy(page);
    }
    [[nodiscard]] static std::uint64_t blocks(std::uint64_t pages) {
        return pages * std::max(GetParam() / 16384, std::size_t{1});
    }

    Remembered* region_ = nullptr;
};

TEST_P(CopiedPages, AreReadFromMemory) {
    EXPECT_TRUE(region_->store().wants_copy(0));
    copy_all();
    EXPECT_TRUE(in_memory(0));
    EXPECT_FALSE(region_->store().wants_copy(0)) << "there is one";
    region_->check();
    EXPECT_EQ(swap_.stats().hits, blocks(kPages));
    EXPECT_EQ(swap_.stats().misses, 0U);
}

TEST_P(CopiedPages, KeepNoMemoryOnceTheyWereRead) {
    copy_all();
    region_->check();
    EXPECT_EQ(swap_.stats().original_bytes, 0U);
    EXPECT_FALSE(in_memory(0));
    region_->check();
    EXPECT_EQ(swap_.stats().misses, blocks(kPages)) << "the file has them still";
}

TEST_P(CopiedPages, AreDroppedWithoutAWrite) {
    copy_all();
    CountingQueue queue;
    ASSERT_EQ(swap_.pool().spill_all(queue), 0);
    EXPECT_TRUE(queue.parts.empty());
    EXPECT_EQ(swap_.stats().used_bytes, 0U);
    swap_.audit();
    region_->check();
}

TEST_P(CopiedPages, GoWithThePage) {
    copy_all();
    for (std::uint64_t page = 0; page < kPages; ++page) region_->write(page, textlike(100 + page));
    EXPECT_EQ(swap_.stats().original_bytes, kPages * GetParam()) << "those of the new versions";
    swap_.audit();
    region_->check();
    ASSERT_EQ(swap_.spill_all(), 0);
    copy_all();
    region_->discard(0, kPages);
    EXPECT_EQ(swap_.stats().original_bytes, 0U);
    EXPECT_EQ(swap_.allotted_pages(), 0U);
}

TEST_P(CopiedPages, ServeEachRegionThatHasTheSameBytes) {
    Remembered& clone = swap_.clone_of(*region_);
    clone.keep_copy(0);
    region_->keep_copy(0);
    EXPECT_EQ(swap_.stats().inserts, blocks(kPages) + blocks(1)) << "one copy is enough";
    EXPECT_TRUE(in_memory(clone, 0) && in_memory(0));
    region_->check_range(0, 1);
    clone.check_range(0, 1);
    clone.keep_copy(1);
    region_->discard(1, 1);
    clone.check_range(1, 1);
}

TEST_P(CopiedPages, MoveOutOfSparseSegmentsAndKeepTheirBytes) {
    Remembered& others = swap_.region(3000);
    copy_all();
    for (std::uint64_t page = 0; page < 3000; ++page) others.write(page, textlike(page));
    others.discard(0, 3000);
    store::SequentialWriteQueue queue;
    ASSERT_EQ(swap_.pool().do_upkeep(queue), 0);
    EXPECT_TRUE(in_memory(0));
    swap_.audit();
    region_->check();
    EXPECT_EQ(swap_.stats().misses, 0U);
}

TEST_P(CopiedPages, AreNotMadeOfOtherBytes) {
    const std::vector<std::byte> other = textlike(77).bytes(GetParam());
    region_->store().keep_copy(0, other);
    EXPECT_FALSE(in_memory(0));
    region_->check();
}

TEST_P(CopiedPages, ThatAreDamagedAreReadFromTheFileInstead) {
    copy_all();
    const std::span<std::byte> memory = swap_.pool().memory();
    // Behind the header of the first entry.
    memory[64] ^= std::byte{16};
    region_->check();
    EXPECT_EQ(swap_.stats().damaged, 1U);
    EXPECT_EQ(swap_.stats().misses, 1U);
    swap_.audit();
}

TEST_P(CopiedPages, AreNotMadeWithoutMemoryForThem) {
    swap_.pool().set_limit(0);
    EXPECT_FALSE(region_->store().wants_copy(0));
    copy_all();
    EXPECT_EQ(swap_.stats().used_bytes, 0U);
    region_->check();
}

INSTANTIATE_TEST_SUITE_P(Pages, CopiedPages, testing::Values(4096, 16384, 65536),
                         [](const auto& instance) { return std::to_string(instance.param >> 10) + "KiB"; });

}  // namespace
}  // namespace faultline::test
