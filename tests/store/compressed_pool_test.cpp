// CompressedPool alone: entries that words name, and words that were loaded before a change.
#include "store/compressed_pool.hpp"

#include "core/units.hpp"
#include "store/compressed_fixture.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <vector>

namespace faultline::test {
namespace {

using store::BlockPlace;
using store::BlockTable;
using store::BlockWord;
using store::CompressedPool;
using store::CompressorPool;
using store::SequentialWriteQueue;

constexpr std::uint64_t kBlocks = 8000;
constexpr std::size_t kBlock = core::kUnitBytes;

/// A pool with one table, like that of a store.
class CompressedPoolOfOne : public testing::Test {
protected:
    ~CompressedPoolOfOne() override { pool_.unregister_table(id_); }

    bool keep(std::uint64_t block, const Contents& contents) {
        const CompressorPool::Compressor compressor{pool_.compressors()};
        return pool_.insert(id_, block, compressor.compress(contents.bytes(kBlock)));
    }
    CompressedPool::Fetched fetch(std::uint64_t block, BlockWord seen) {
        return pool_.fetch(table_, block, seen, bytes_);
    }
    [[nodiscard]] bool fetched(const Contents& contents) const { return bytes_ == contents.bytes(kBlock); }

    std::shared_ptr<Behind> behind_ = std::make_shared<Behind>(kBlocks * kBlock);
    MemoryBehind store_{behind_};
    CompressedPool pool_{256 * kSegment, 64 * kSegment};
    BlockTable table_{store_, kBlocks* kBlock, kBlock, pool_.next_table_number()};
    std::uint32_t id_ = pool_.register_table(table_);
    std::vector<std::byte> bytes_ = std::vector<std::byte>(kBlock);
};

TEST_F(CompressedPoolOfOne, AWordThatIsOutOfDateFetchesNothing) {
    ASSERT_TRUE(keep(5, textlike(1)));
    const BlockWord first = table_.load(5);
    ASSERT_TRUE(keep(5, textlike(2)));
    EXPECT_EQ(fetch(5, first), CompressedPool::Fetched::changed) << "its bytes are still there, but old";
    const BlockWord second = table_.load(5);
    EXPECT_EQ(fetch(5, second), CompressedPool::Fetched::done);
    EXPECT_TRUE(fetched(textlike(2)));

    SequentialWriteQueue queue;
    ASSERT_EQ(pool_.spill_all(queue), 0);
    EXPECT_EQ(fetch(5, second), CompressedPool::Fetched::changed);
    EXPECT_TRUE(table_.load(5).is(BlockPlace::behind));
    EXPECT_EQ(table_.load(5).generation(), second.generation());
}

TEST_F(CompressedPoolOfOne, AMovedEntryIsTheSameVersionElsewhere) {
    std::uint64_t blocks = 0;
    for (; !pool_.wants_spill(); ++blocks) ASSERT_TRUE(keep(blocks, textlike(blocks)));
    const BlockWord before = table_.load(0);
    for (std::uint64_t block = 1; block < blocks; block += 2) {
        pool_.release_entry(table_, table_.change(block, [](BlockWord word) { return word.discarded(); }));
    }
    SequentialWriteQueue queue;
    EXPECT_EQ(pool_.spill_some(queue), 0);
    EXPECT_LE(pool_.stats().used_bytes, 56 * kSegment);
    const BlockWord after = table_.load(0);
    EXPECT_TRUE(after.is(BlockPlace::pool));
    EXPECT_EQ(after.generation(), before.generation());
    EXPECT_NE(after, before);
    EXPECT_EQ(fetch(0, before), CompressedPool::Fetched::changed);
    EXPECT_EQ(fetch(0, after), CompressedPool::Fetched::done);
    EXPECT_TRUE(fetched(textlike(0)));
    EXPECT_EQ(pool_.stats().spills, 0U);
}

TEST_F(CompressedPoolOfOne, SpillsUntilTheUpperWatermarkIsFree) {
    std::uint64_t block = 0;
    for (; !pool_.wants_spill(); ++block) ASSERT_TRUE(keep(block, textlike(block)));
    EXPECT_EQ(pool_.stats().used_bytes, 61 * kSegment);
    EXPECT_EQ(pool_.stats().spills, 0U);
    SequentialWriteQueue queue;
    EXPECT_EQ(pool_.spill_some(queue), 0);
    EXPECT_EQ(pool_.stats().used_bytes, 56 * kSegment);
    EXPECT_FALSE(pool_.wants_spill());
    EXPECT_TRUE(behind_->holds(0));
    EXPECT_FALSE(behind_->holds(block - 1));
}

TEST_F(CompressedPoolOfOne, AStoreThatGoesTakesItsBytesAlongAndNobodyElses) {
    const auto behind = std::make_shared<Behind>(kBlocks * kBlock);
    auto other = std::make_unique<store::CompressedStore>(pool_, std::make_unique<MemoryBehind>(behind),
                                                          kBlocks * kBlock, kBlock);
    for (std::uint64_t block = 0; block < 1000; ++block) {
        ASSERT_TRUE(keep(block, textlike(block)));
        ASSERT_EQ(other->write(block * kBlock, textlike(block + 5000).bytes(kBlock)), 0);
    }
    EXPECT_EQ(pool_.stats().original_bytes, 2000 * kBlock);
    other.reset();
    EXPECT_EQ(pool_.stats().original_bytes, 1000 * kBlock);
    EXPECT_EQ(behind->writes.load(), 0) << "nobody will read it";
    for (std::uint64_t block = 0; block < 1000; ++block) {
        ASSERT_EQ(fetch(block, table_.load(block)), CompressedPool::Fetched::done);
        ASSERT_TRUE(fetched(textlike(block)));
    }
}

TEST_F(CompressedPoolOfOne, AnOverwrittenEntryLosesItselfAndIsNotBelieved) {
    ASSERT_TRUE(keep(0, textlike(1)));
    // Damages the length in the entry's header, which locates the next entry.
    std::fill_n(pool_.memory().data() + 20, 4, std::byte{0xff});
    EXPECT_EQ(fetch(0, table_.load(0)), CompressedPool::Fetched::damaged);
    SequentialWriteQueue queue;
    EXPECT_EQ(pool_.spill_all(queue), EIO) << "it is not behind";
    EXPECT_EQ(behind_->writes.load(), 0);
    EXPECT_EQ(fetch(0, table_.load(0)), CompressedPool::Fetched::damaged);
    std::fill_n(pool_.memory().data() + 20, 4, std::byte{0});
}

}  // namespace
}  // namespace faultline::test
