// BlockWord and the codec: fields and bytes survive a round trip, and damaged input is refused.
#include "store/block_word.hpp"

#include "store/block_codec.hpp"
#include "store/page_contents.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace faultline::test {
namespace {

using store::BlockPlace;
using store::BlockWord;
using store::CompressorPool;
using store::PoolSlot;

TEST(BlockWord, NamesEverySlotThereCanBe) {
    for (const std::uint32_t segment : {0U, 1U, 4711U, BlockWord::kMostSegments - 1}) {
        for (const std::uint32_t offset : {0U, 8U, 30000U, 65528U}) {
            const PoolSlot slot{segment, offset};
            const BlockWord word = BlockWord{}.stored_in(slot);
            EXPECT_TRUE(word.in(slot));
            EXPECT_EQ(word.slot(), slot);
            EXPECT_EQ(word.generation(), 1U);
            EXPECT_FALSE(word.busy());
            EXPECT_FALSE(word.has_behind());
        }
    }
}

TEST(BlockWord, CountsWritesAndNothingElse) {
    BlockWord word = BlockWord{}.stored_in({1, 8}).claimed_for_spill();
    EXPECT_TRUE(word.in({1, 8})) << "readable while it is spilled";
    word = word.spilled();
    EXPECT_TRUE(word.is(BlockPlace::behind));
    EXPECT_EQ(word.generation(), 1U);
    word = word.discarded().emptied_behind();
    EXPECT_EQ(word.generation(), 1U);
    EXPECT_EQ(word.claimed_for_write().written().generation(), 2U);
    EXPECT_TRUE(word.claimed_for_write().write_failed().is(BlockPlace::lost));
}

TEST(BlockWord, KeepsTheMarkOfASpillThatIsUnderWayWhateverHappensToTheBlock) {
    const BlockWord spilling = BlockWord{}.stored_in({1, 8}).claimed_for_spill();
    EXPECT_TRUE(spilling.stored_in({2, 16}).busy());
    EXPECT_TRUE(spilling.discarded().busy());
    EXPECT_TRUE(spilling.discarded().has_behind());
}

TEST(BlockWord, TheGenerationWrapsWithoutTouchingItsNeighbours) {
    BlockWord word;
    for (std::uint32_t i = 0; i < (1U << 23); ++i) word = word.stored_in({0, 0});
    EXPECT_EQ(word.generation(), 0U);
    EXPECT_TRUE(word.in({0, 0}));
    EXPECT_FALSE(word.busy());
}

TEST(BlockCodec, GivesBackWhatShrinksAndRefusesWhatDoesNot) {
    CompressorPool pool;
    const CompressorPool::Compressor compressor{pool};
    for (const std::size_t size : {std::size_t{4096}, std::size_t{8192}, std::size_t{16384}}) {
        const std::vector<std::byte> page = textlike(size).bytes(size);
        const auto compressed = compressor.compress(page);
        ASSERT_FALSE(compressed.empty());
        EXPECT_LE(compressed.size(), store::most_compressed(size));
        std::vector<std::byte> back(size);
        EXPECT_TRUE(store::decompress(compressed, back));
        EXPECT_EQ(back, page);
        std::vector<std::byte> shorter(size - 1);
        EXPECT_FALSE(store::decompress(compressed, shorter));
        EXPECT_FALSE(store::decompress(compressed.first(compressed.size() / 2), back));
        EXPECT_TRUE(compressor.compress(incompressible(size).bytes(size)).empty());
    }
}

TEST(BlockCodec, ChecksumsDependOnBytesAndSeed) {
    std::vector<std::byte> page = textlike(1).bytes(4096);
    const std::uint64_t checksum = store::checksum_of(page, 1);
    EXPECT_NE(checksum, store::checksum_of(page, 2));
    page[4095] ^= std::byte{1};
    EXPECT_NE(checksum, store::checksum_of(page, 1));
}

}  // namespace
}  // namespace faultline::test
