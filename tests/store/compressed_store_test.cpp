// CompressedStore: a read returns what was written, wherever the bytes were meanwhile. Unreadable bytes are an error.
// Nothing is written, kept or punched without need.
#include "store/compressed_store.hpp"

#include "store/compressed_fixture.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstdint>
#include <iostream>
#include <random>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

namespace faultline::test {
namespace {

using store::SequentialWriteQueue;

TEST(CompressedStore, KeepsInMemoryWhatShrinks) {
    CompressedFixture fixture{16 * kSegment, 100};
    for (std::uint64_t page = 0; page < 100; ++page) ASSERT_EQ(fixture.write(page, textlike(page)), 0);
    for (std::uint64_t page = 0; page < 100; ++page) fixture.expect(page, textlike(page));
    EXPECT_EQ(fixture.behind().writes.load(), 0);
    EXPECT_EQ(fixture.behind().reads.load(), 0);
    EXPECT_EQ(fixture.stats().original_bytes, 100 * core::kUnitBytes);
    EXPECT_LT(fixture.stats().compressed_bytes, 100 * core::kUnitBytes / 3);
    EXPECT_EQ(fixture.stats().hits, 100U);
}

TEST(CompressedStore, KeepsThePageInMemoryAfterItWasRead) {
    CompressedFixture fixture{16 * kSegment, 1};
    ASSERT_EQ(fixture.write(0, textlike(1)), 0);
    for (int i = 0; i < 3; ++i) fixture.expect(0, textlike(1));
    EXPECT_EQ(fixture.stats().original_bytes, core::kUnitBytes);
}

TEST(CompressedStore, OffersNoFileToWriteTo) {
    CompressedFixture fixture{16 * kSegment, 1};
    EXPECT_EQ(fixture.store().extent().fd, -1);
}

TEST(CompressedStore, WritesNeighboursThatDoNotShrinkAtOnce) {
    CompressedFixture fixture{16 * kSegment, 10};
    const std::vector<Contents> run = {textlike(0),       incompressible(1), incompressible(2), textlike(3),
                                       incompressible(4), textlike(5),       incompressible(6), incompressible(7)};
    ASSERT_EQ(fixture.write_run(1, run), 0);
    EXPECT_EQ(fixture.behind().writes.load(), 3);
    EXPECT_EQ(fixture.behind().units_held(), 5U);
    EXPECT_EQ(fixture.stats().rejections, 5U);
    for (std::size_t i = 0; i < run.size(); ++i) fixture.expect(1 + i, run[i]);
}

TEST(CompressedStore, ReadsNeighboursFromBehindAtOnceAcrossWhatItDoesNotHold) {
    CompressedFixture fixture{16 * kSegment, 16};
    ASSERT_EQ(fixture.write_run(2, {incompressible(2), incompressible(3)}), 0);
    ASSERT_EQ(fixture.write_run(6, {incompressible(6), textlike(7), incompressible(8)}), 0);
    std::vector<std::byte> bytes(16 * core::kUnitBytes);
    ASSERT_EQ(fixture.store().read(0, bytes), 0);
    EXPECT_EQ(fixture.behind().reads.load(), 2);
    EXPECT_EQ(fixture.stats().misses, 4U);
    EXPECT_EQ(fixture.stats().hits, 1U);
    const std::vector<std::pair<std::size_t, Contents>> expected = {{2, incompressible(2)},
                                                                    {3, incompressible(3)},
                                                                    {6, incompressible(6)},
                                                                    {7, textlike(7)},
                                                                    {8, incompressible(8)}};
    for (const auto& [page, contents] : expected) {
        const auto at = bytes.begin() + static_cast<std::ptrdiff_t>(page * core::kUnitBytes);
        EXPECT_EQ(std::vector<std::byte>(at, at + core::kUnitBytes), contents.bytes(core::kUnitBytes)) << page;
    }
}

TEST(CompressedStore, TriesOnlyOnePageInSixteenOnceEightInARowHaveNotShrunk) {
    CompressedFixture fixture{16 * kSegment, 64};
    for (std::uint64_t page = 0; page < 9; ++page) ASSERT_EQ(fixture.write(page, incompressible(page)), 0);
    for (std::uint64_t page = 9; page < 24; ++page) ASSERT_EQ(fixture.write(page, textlike(page)), 0);
    EXPECT_EQ(fixture.stats().original_bytes, 0U);
    EXPECT_EQ(fixture.stats().rejections, 24U);
    for (std::uint64_t page = 24; page < 34; ++page) ASSERT_EQ(fixture.write(page, textlike(page)), 0);
    EXPECT_EQ(fixture.stats().original_bytes, 10 * core::kUnitBytes) << "one that shrinks ends it";
    for (std::uint64_t page = 9; page < 34; ++page) fixture.expect(page, textlike(page));
}

TEST(CompressedStore, WritesEverythingBehindWhenThereIsNoMemoryForIt) {
    CompressedFixture fixture{0, 4};
    for (std::uint64_t page = 0; page < 4; ++page) ASSERT_EQ(fixture.write(page, textlike(page)), 0);
    for (std::uint64_t page = 0; page < 4; ++page) fixture.expect(page, textlike(page));
    EXPECT_EQ(fixture.behind().writes.load(), 4);
}

TEST(CompressedStore, SpillsTheOldestForTheNewest) {
    CompressedFixture fixture{2 * kSegment, 1000};
    for (std::uint64_t page = 0; page < 1000; ++page) ASSERT_EQ(fixture.write(page, textlike(page)), 0);
    EXPECT_GT(fixture.stats().spills, 500U);
    EXPECT_LE(fixture.stats().used_bytes, 2 * kSegment);
    EXPECT_TRUE(fixture.behind().holds(0));
    EXPECT_FALSE(fixture.behind().holds(999));
    EXPECT_LT(fixture.behind().writes.load(), 100) << "neighbours are written at once";
    for (std::uint64_t page = 0; page < 1000; ++page) fixture.expect(page, textlike(page));
}

TEST(CompressedStore, SpillsOnlyWhatIsCurrent) {
    CompressedFixture fixture{16 * kSegment, 100};
    for (std::uint64_t page = 0; page < 100; ++page) ASSERT_EQ(fixture.write(page, textlike(page)), 0);
    for (std::uint64_t page = 0; page < 50; ++page) ASSERT_EQ(fixture.write(page, textlike(1000 + page)), 0);
    fixture.discard(60, 40);
    ASSERT_EQ(fixture.spill_all(), 0);
    EXPECT_EQ(fixture.stats().spills, 60U);
    EXPECT_EQ(fixture.stats().used_bytes, 0U);
    EXPECT_EQ(fixture.behind().units_held(), 60U);
    EXPECT_LE(fixture.behind().writes.load(), 4) << "two rows of neighbours, in three segments at most";
    for (std::uint64_t page = 0; page < 50; ++page) fixture.expect(page, textlike(1000 + page));
    for (std::uint64_t page = 50; page < 60; ++page) fixture.expect(page, textlike(page));
}

TEST(CompressedStore, DiscardsBehindOnlyWhatWasEverThere) {
    CompressedFixture fixture{16 * kSegment, 20};
    for (std::uint64_t page = 0; page < 10; ++page) ASSERT_EQ(fixture.write(page, textlike(page)), 0);
    fixture.discard(0, 20);
    EXPECT_EQ(fixture.behind().discards.load(), 0);
    EXPECT_EQ(fixture.stats().original_bytes, 0U);
    for (std::uint64_t page = 0; page < 10; ++page) ASSERT_EQ(fixture.write(page, textlike(page)), 0);
    ASSERT_EQ(fixture.spill_all(), 0);
    ASSERT_EQ(fixture.write(5, textlike(55)), 0);
    fixture.discard(0, 20);
    EXPECT_EQ(fixture.behind().discards.load(), 1);
    EXPECT_EQ(fixture.behind().units_held(), 0U);
    fixture.discard(0, 20);
    EXPECT_EQ(fixture.behind().discards.load(), 1) << "once is enough";
}

TEST(CompressedStore, MovesTogetherWhatIsAliveBeforeItSpillsAny) {
    CompressedFixture fixture{8 * kSegment, 300};
    std::mt19937_64 random{7};
    std::vector<std::uint64_t> version(300);
    // Half of the limit is live; writing without moving entries would fill all of it.
    for (std::uint64_t page = 0; page < 300; ++page) ASSERT_EQ(fixture.write(page, textlike(page)), 0);
    for (int step = 0; step < 10000; ++step) {
        const std::uint64_t page = random() % 250;  // the other pages are never touched again
        version[page] = random() % 1000 * 1000;
        ASSERT_EQ(fixture.write(page, textlike(page + version[page])), 0);
    }
    EXPECT_EQ(fixture.stats().spills, 0U);
    EXPECT_EQ(fixture.stats().overflows, 0U);
    EXPECT_EQ(fixture.behind().writes.load(), 0);
    for (std::uint64_t page = 0; page < 300; ++page) fixture.expect(page, textlike(page + version[page]));
}

// ---- Errors

TEST(CompressedStore, AFullStoreBehindIsToldToWhoWritesAndCostsNobodyElseAPage) {
    CompressedFixture fixture{2 * kSegment, 1000};
    fixture.behind().write_error.store(ENOSPC);
    std::uint64_t kept = 0;
    while (kept < 1000 && fixture.write(kept, textlike(kept)) == 0) ++kept;
    EXPECT_GT(kept, 50U) << "memory is used up first";
    EXPECT_LT(kept, 1000U);
    EXPECT_EQ(fixture.write(kept, textlike(kept)), ENOSPC);
    EXPECT_EQ(fixture.write(kept, incompressible(kept)), ENOSPC);
    EXPECT_EQ(fixture.read(kept), EIO) << "neither zeros nor old bytes";
    for (std::uint64_t page = 0; page < kept; ++page) fixture.expect(page, textlike(page));

    fixture.behind().write_error.store(0);
    for (std::uint64_t page = kept; page < 1000; ++page) ASSERT_EQ(fixture.write(page, textlike(page)), 0);
    for (std::uint64_t page = 0; page < 1000; ++page) fixture.expect(page, textlike(page));
    EXPECT_GT(fixture.stats().spills, 0U);
}

TEST(CompressedStore, WhatCannotBeSpilledStaysAndIsTriedAgain) {
    CompressedFixture fixture{8 * kSegment, 300};
    for (std::uint64_t page = 0; page < 300; ++page) ASSERT_EQ(fixture.write(page, textlike(page)), 0);
    fixture.behind().write_error.store(EIO);
    EXPECT_EQ(fixture.spill_all(), EIO);
    EXPECT_EQ(fixture.stats().spills, 0U);
    for (std::uint64_t page = 0; page < 300; ++page) fixture.expect(page, textlike(page));
    fixture.behind().write_error.store(0);
    EXPECT_EQ(fixture.spill_all(), 0);
    EXPECT_EQ(fixture.stats().spills, 300U);
    for (std::uint64_t page = 0; page < 300; ++page) fixture.expect(page, textlike(page));
}

TEST(CompressedStore, ReadErrorsBehindArePassedOn) {
    CompressedFixture fixture{8 * kSegment, 2};
    ASSERT_EQ(fixture.write_run(0, {incompressible(0), textlike(1)}), 0);
    fixture.behind().read_error.store(ENXIO);
    EXPECT_EQ(fixture.read(0), ENXIO);
    fixture.expect(1, textlike(1));
    fixture.behind().read_error.store(0);
    fixture.expect(0, incompressible(0));
}

TEST(CompressedStore, AFlippedBitBehindIsAnErrorOfThatPageAlone) {
    CompressedFixture fixture{8 * kSegment, 8};
    for (std::uint64_t page = 0; page < 8; ++page) {
        ASSERT_EQ(fixture.write(page, page % 2 == 0 ? textlike(page) : incompressible(page)), 0);
    }
    ASSERT_EQ(fixture.spill_all(), 0);
    fixture.behind().flip_bit(2 * core::kUnitBytes + 1000);
    fixture.behind().flip_bit(5 * core::kUnitBytes + 4088);
    for (std::uint64_t page = 0; page < 8; ++page) {
        if (page == 2 || page == 5) {
            EXPECT_EQ(fixture.read(page), EIO);
        } else {
            fixture.expect(page, page % 2 == 0 ? textlike(page) : incompressible(page));
        }
    }
    std::vector<std::byte> all(8 * core::kUnitBytes);
    EXPECT_EQ(fixture.store().read(0, all), EIO);
    EXPECT_GE(fixture.stats().damaged, 3U);
    ASSERT_EQ(fixture.write(2, incompressible(22)), 0);
    fixture.expect(2, incompressible(22));
}

TEST(CompressedStore, AWriteThatNeverArrivedIsAnErrorAndNotTheVersionBefore) {
    CompressedFixture fixture{8 * kSegment, 2};
    ASSERT_EQ(fixture.write_run(0, {incompressible(1), textlike(1)}), 0);
    ASSERT_EQ(fixture.spill_all(), 0);
    fixture.behind().drops_writes.store(true);
    ASSERT_EQ(fixture.write_run(0, {incompressible(2), textlike(2)}), 0);
    ASSERT_EQ(fixture.spill_all(), 0);
    EXPECT_EQ(fixture.read(0), EIO);
    EXPECT_EQ(fixture.read(1), EIO);
}

TEST(CompressedStore, ABitFlippedInMemoryIsAnErrorOfThatPageAloneAndKeepsNoMemory) {
    CompressedFixture fixture{8 * kSegment, 3};
    for (std::uint64_t page = 0; page < 3; ++page) ASSERT_EQ(fixture.write(page, textlike(page)), 0);
    const std::size_t entry = fixture.stats().compressed_bytes / 3;
    fixture.pool().memory()[entry + entry / 2] ^= std::byte{16};
    EXPECT_EQ(fixture.read(1), EIO);
    fixture.expect(0, textlike(0));
    fixture.expect(2, textlike(2));
    ASSERT_EQ(fixture.spill_all(), 0);
    EXPECT_EQ(fixture.stats().used_bytes, 0U);
    EXPECT_EQ(fixture.read(1), EIO);
    fixture.expect(0, textlike(0));
    fixture.expect(2, textlike(2));
}

// ---- Two operations at once

/// A spill of page 0 that has come as far as its write.
class DuringASpill : public testing::Test {
protected:
    DuringASpill() {
        EXPECT_EQ(fixture_.write(0, textlike(1)), 0);
        fixture_.behind().gate.close();
        // Other blocks that enter the pool meanwhile may stay there.
        spiller_ = std::thread{[this] { static_cast<void>(fixture_.spill_all()); }};
        fixture_.behind().gate.wait_for_arrivals(1);
    }
    ~DuringASpill() override { finish(); }
    void finish() {
        fixture_.behind().gate.open();
        if (spiller_.joinable()) spiller_.join();
    }

    CompressedFixture fixture_{8 * kSegment, 2};
    std::thread spiller_;
};

TEST_F(DuringASpill, ThePageCanBeRead) {
    fixture_.expect(0, textlike(1));
    EXPECT_EQ(fixture_.behind().reads.load(), 0);
    finish();
    fixture_.expect(0, textlike(1));
    EXPECT_EQ(fixture_.behind().reads.load(), 1);
}

TEST_F(DuringASpill, ANewVersionGoesToMemoryWithoutWaitingAndStaysTheNewest) {
    ASSERT_EQ(fixture_.write(0, textlike(2)), 0);
    fixture_.expect(0, textlike(2));
    finish();
    fixture_.expect(0, textlike(2));
    ASSERT_EQ(fixture_.spill_all(), 0);
    fixture_.expect(0, textlike(2));
}

TEST_F(DuringASpill, ANewVersionThatGoesBehindComesAfterTheOldOne) {
    std::thread writer{[&] { EXPECT_EQ(fixture_.write(0, incompressible(2)), 0); }};
    finish();
    writer.join();
    fixture_.expect(0, incompressible(2));
}

TEST_F(DuringASpill, WhatIsDiscardedDoesNotComeBack) {
    std::thread discarder{[&] { fixture_.discard(0); }};
    finish();
    discarder.join();
    EXPECT_EQ(fixture_.behind().units_held(), 0U);
    EXPECT_EQ(fixture_.stats().original_bytes, 0U);
}

TEST_F(DuringASpill, AStoreThatGoesWaits) {
    auto other = fixture_.open();
    ASSERT_EQ(other->write(core::kUnitBytes, textlike(9).bytes(core::kUnitBytes)), 0);
    std::thread closer{[&] { other.reset(); }};
    finish();
    closer.join();
    fixture_.expect(0, textlike(1));
}

// ---- Against a model

class CompressedStoreOfPages : public testing::TestWithParam<std::tuple<std::size_t, std::size_t>> {};

TEST_P(CompressedStoreOfPages, IsAnArrayWhateverTheOrder) {
    const auto [page_bytes, segments] = GetParam();
    const std::uint64_t seed = std::random_device{}();
    std::cout << "seed " << seed << '\n';
    std::mt19937_64 random{seed};
    const std::uint64_t pages = page_bytes > 65536 ? 6 : 200;
    CompressedFixture fixture{segments * kSegment, pages, page_bytes};
    std::vector<std::vector<std::byte>> oracle(pages);  // empty: never written
    SequentialWriteQueue queue;
    for (int step = 0; step < (page_bytes > 65536 ? 150 : 3000); ++step) {
        const std::uint64_t page = random() % pages;
        const auto kind = static_cast<Contents::Kind>(random() % Contents::kKinds);
        switch (random() % 8) {
            case 0:
                fixture.discard(page);
                oracle[page].clear();
                break;
            case 1:
                ASSERT_EQ(fixture.pool().spill_some(queue), 0);
                break;
            case 2:
            case 3:
            case 4: {
                const Contents contents{kind, random()};
                ASSERT_EQ(fixture.write(page, contents), 0);
                oracle[page] = contents.bytes(page_bytes);
                break;
            }
            default:
                if (!oracle[page].empty()) {
                    std::vector<std::byte> bytes(page_bytes);
                    ASSERT_EQ(fixture.store().read(page * page_bytes, bytes), 0);
                    ASSERT_EQ(bytes, oracle[page]);
                }
        }
        ASSERT_LE(fixture.stats().used_bytes, segments * kSegment);
    }
    ASSERT_EQ(fixture.spill_all(), 0);
    EXPECT_EQ(fixture.stats().used_bytes, 0U);
    for (std::uint64_t page = 0; page < pages; ++page) {
        if (oracle[page].empty()) continue;
        std::vector<std::byte> bytes(page_bytes);
        ASSERT_EQ(fixture.store().read(page * page_bytes, bytes), 0);
        ASSERT_EQ(bytes, oracle[page]);
    }
}

INSTANTIATE_TEST_SUITE_P(Of, CompressedStoreOfPages,
                         testing::Combine(testing::Values(4096, 16384, 65536, 2097152), testing::Values(1, 2, 24)),
                         [](const auto& instance) {
                             return std::to_string(std::get<0>(instance.param) >> 10) + "KiB_in_" +
                                    std::to_string(std::get<1>(instance.param)) + "_segments";
                         });

TEST(CompressedStore, ALargePageCanBeReadInPieces) {
    constexpr std::size_t kLargePage = std::size_t{2} << 20;
    constexpr std::size_t kPiece = std::size_t{64} << 10;
    CompressedFixture fixture{100 * kSegment, 1, kLargePage};
    for (const Contents& contents : {textlike(1), incompressible(2)}) {
        ASSERT_EQ(fixture.write(0, contents), 0);
        std::vector<std::byte> bytes(kLargePage);
        for (std::size_t at = 0; at < kLargePage; at += kPiece) {
            ASSERT_EQ(fixture.store().read(at, std::span{bytes}.subspan(at, kPiece)), 0);
        }
        EXPECT_EQ(bytes, contents.bytes(kLargePage));
    }
}

}  // namespace
}  // namespace faultline::test
