// SwapStore: a read returns what was written last, in pages of each size, compressed or not. Pages that leave together
// are written together. Locations that name one page are counted.
#include "store/swap_store.hpp"

#include "store/read_plan.hpp"
#include "store/swap_fixture.hpp"
#include "store/test_queues.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <random>
#include <string>
#include <tuple>
#include <vector>

namespace faultline::test {
namespace {

using store::BackingStore;
using store::ReadPlan;
using store::StoreRead;
using store::StoreWrite;
using store::SwapStore;
using store::Whereabouts;

bool is_all_zeros(std::span<const std::byte> bytes) {
    return std::all_of(bytes.begin(), bytes.end(), [](std::byte one) { return one == std::byte{0}; });
}

/// Pages in memory that can be written in one batch.
class Batch {
public:
    explicit Batch(std::size_t pages, std::size_t page_bytes = kPage)
        : page_bytes_{page_bytes}, bytes_{sys::Mapping::reserve(pages * page_bytes, page_bytes, true, "test pages")} {}

    void add(Remembered& region, std::uint64_t page, const Contents& contents) {
        const std::span<std::byte> bytes = bytes_.bytes().subspan(writes_.size() * page_bytes_, page_bytes_);
        contents.fill(bytes);
        writes_.push_back({&region.store(), page * page_bytes_, bytes, -1});
        written_.emplace_back(&region, page, contents);
    }
    /// Writes the batch. Pages that report no error have their new contents; the others keep those that they had.
    std::vector<StoreWrite>& write(store::SwapSpace& space, store::WriteQueue& queue) {
        space.write(writes_, queue);
        for (std::size_t i = 0; i < writes_.size(); ++i) {
            const auto& [region, page, contents] = written_[i];
            if (writes_[i].error == 0) region->now_has(page, contents);
        }
        return writes_;
    }

private:
    std::size_t page_bytes_;
    sys::Mapping bytes_;
    std::vector<StoreWrite> writes_;
    std::vector<std::tuple<Remembered*, std::uint64_t, Contents>> written_;
};

// ---- Contents

class SwapStoreOf : public testing::TestWithParam<std::tuple<std::size_t, std::size_t>> {
protected:
    [[nodiscard]] static std::size_t page_bytes() { return std::get<0>(GetParam()); }

    TemporaryDirectory directory_{"/var/tmp"};
    SwapMachine swap_{directory_.path(), std::get<1>(GetParam()) * kSegment};
};

TEST_P(SwapStoreOf, IsAnArrayOfPagesWhateverTheOrder) {
    std::mt19937_64 random{printed_seed()};
    const bool large = page_bytes() > 65536;
    Remembered& region = swap_.region(large ? 6 : 200, page_bytes());
    store::SequentialWriteQueue queue;
    for (int step = 0; step < (large ? 120 : 1500); ++step) {
        const std::uint64_t page = random() % region.pages();
        switch (random() % 8) {
            case 0:
                region.discard(page, 1);
                break;
            case 1:
                ASSERT_EQ(swap_.space().do_upkeep(queue), 0);
                break;
            case 2:
            case 3:
            case 4:
                ASSERT_NO_FATAL_FAILURE(region.write(page, contents_of(page, random())));
                break;
            default:
                const std::uint64_t count =
                    std::min<std::uint64_t>(large ? 1 : random() % 8 + 1, region.pages() - page);
                ASSERT_NO_FATAL_FAILURE(region.check_range(page, count)) << "step " << step;
        }
    }
    region.check();
}

TEST_P(SwapStoreOf, ReadsAny16KiBOfALargerPage) {
    constexpr std::size_t kPiece = std::size_t{16} << 10;
    if (page_bytes() <= kPiece) GTEST_SKIP() << "pages of this size are read whole";
    Remembered& region = swap_.region(3, page_bytes());
    for (const Contents& contents : {textlike(7), incompressible(8)}) {
        region.write(1, contents);
        const std::vector<std::byte> wanted = contents.bytes(page_bytes());
        const sys::Mapping piece = sys::Mapping::reserve(kPiece, kPiece, true, "a piece");
        for (std::size_t at = 0; at < page_bytes(); at += kPiece) {
            ASSERT_EQ(region.store().read(page_bytes() + at, piece.bytes()), 0);
            EXPECT_TRUE(std::equal(piece.bytes().begin(), piece.bytes().end(), &wanted[at])) << "at " << at;
        }
    }
}

TEST_P(SwapStoreOf, GivesZerosWhereNothingWasWrittenAndAfterADiscard) {
    Remembered& region = swap_.region(3, page_bytes());
    region.write_all(1);
    region.discard(1, 1);
    const sys::Mapping pages = sys::Mapping::reserve(page_bytes(), page_bytes(), true, "a page");
    ASSERT_EQ(region.store().read(page_bytes(), pages.bytes()), 0);
    EXPECT_TRUE(is_all_zeros(pages.bytes()));
    EXPECT_FALSE(SwapMachine::swap_store(region).holds(page_bytes()));
    EXPECT_TRUE(SwapMachine::swap_store(region).holds(2 * page_bytes()));
    region.check();
}

TEST_P(SwapStoreOf, AWriteThatFailsLeavesTheContentsThatThePageHad) {
    Remembered& region = swap_.region(4, page_bytes());
    for (std::uint64_t page = 0; page < 4; ++page) region.write(page, incompressible(page));
    const std::uint64_t allotted = swap_.allotted_pages();
    CountingQueue failing;
    failing.error = EIO;
    Batch batch{4, page_bytes()};
    for (std::uint64_t page = 0; page < 4; ++page) batch.add(region, page, incompressible(10 + page));
    for (const StoreWrite& one : batch.write(swap_.space(), failing)) EXPECT_EQ(one.error, EIO);
    EXPECT_EQ(swap_.allotted_pages(), allotted) << "the slots of the writes that failed are free again";
    region.check();
}

TEST_P(SwapStoreOf, TellsWhereEach4KiBAre) {
    Remembered& region = swap_.region(2, page_bytes());
    EXPECT_EQ(region.store().whereabouts(0).place, Whereabouts::Place::nowhere);
    region.write(1, textlike(1));
    if (std::get<1>(GetParam()) == 2) GTEST_SKIP() << "some blocks may be in memory and others in the file";
    const bool compressed = swap_.pool().enabled();
    for (std::size_t at = page_bytes(); at < 2 * page_bytes(); at += kUnit) {
        EXPECT_EQ(region.store().whereabouts(at).place,
                  compressed ? Whereabouts::Place::compressed : Whereabouts::Place::swap_file);
    }
    ASSERT_EQ(swap_.spill_all(), 0);
    const Whereabouts first = region.store().whereabouts(page_bytes());
    for (std::size_t at = 0; at < page_bytes(); at += kUnit) {
        const Whereabouts here = region.store().whereabouts(page_bytes() + at);
        EXPECT_EQ(here.place, Whereabouts::Place::swap_file);
        EXPECT_EQ(here.at, first.at + at) << "a page is in one piece";
        EXPECT_FALSE(here.shared);
    }
}

INSTANTIATE_TEST_SUITE_P(Pages, SwapStoreOf,
                         testing::Combine(testing::Values(4096, 8192, 16384, 32768, 65536, 2097152),
                                          testing::Values(0, 2, 64)),
                         [](const auto& instance) {
                             const std::size_t segments = std::get<1>(instance.param);
                             return std::to_string(std::get<0>(instance.param) >> 10) + "KiB_" +
                                    (segments == 0 ? "plain" : "in_" + std::to_string(segments) + "_segments");
                         });

// ---- Batches

using PlainSwap = SwapTest;

TEST_F(PlainSwap, WritesScatteredPagesOfSeveralRegionsWithOneWrite) {
    Remembered& first = swap_.region(1000);
    Remembered& second = swap_.region(1000);
    Batch batch{60};
    for (std::uint64_t i = 0; i < 30; ++i) {
        batch.add(first, 999 - 31 * i, incompressible(i));
        batch.add(second, 17 * i, textlike(i));
    }
    CountingQueue queue;
    for (const StoreWrite& one : batch.write(swap_.space(), queue)) EXPECT_EQ(one.error, 0);
    EXPECT_EQ(queue.parts, std::vector<std::size_t>{60});
    first.check();
    second.check();
}

TEST_F(PlainSwap, ReadsInOneTransferWhatWasWrittenInARow) {
    Remembered& region = swap_.region(64);
    Batch batch{8};
    for (const std::uint64_t page : {40U, 3U, 4U, 5U, 6U, 9U, 10U, 50U}) batch.add(region, page, textlike(page));
    CountingQueue queue;
    batch.write(swap_.space(), queue);
    const sys::Mapping into = sys::Mapping::reserve(8 * kPage, kPage, true, "test pages");
    ReadPlan plan;
    const StoreRead read{3 * kPage, into.bytes()};
    ASSERT_EQ(region.store().plan_read({&read, 1}, plan), 0);
    ASSERT_EQ(plan.reads().size(), 2U) << "pages 3 to 6, and 9 and 10; the two between have no bytes";
    EXPECT_EQ(plan.reads()[0].into.size(), 4 * kPage);
    EXPECT_EQ(plan.reads()[1].into.size(), 2 * kPage);
    region.check(16);
}

TEST_F(PlainSwap, WritesALargePageWithOneWrite) {
    Remembered& region = swap_.region(2, 2 * kMiB);
    Batch batch{1, 2 * kMiB};
    batch.add(region, 1, textlike(1));
    CountingQueue queue;
    batch.write(swap_.space(), queue);
    EXPECT_EQ(queue.parts, std::vector<std::size_t>{1});
    region.check();
}

TEST_F(PlainSwap, EachPageOfABatchHasItsOwnError) {
    Remembered& region = swap_.region(1200);
    region.write_version(0, 500, 1);
    Batch batch{100};  // crosses the end of a chunk, so it is two writes at least
    for (std::uint64_t page = 0; page < 100; ++page) batch.add(region, page, contents_of(page, 2));
    CountingQueue queue;
    queue.error = EIO;
    queue.fail_one_in = 2;
    const std::vector<StoreWrite>& writes = batch.write(swap_.space(), queue);
    const auto failed =
        std::count_if(writes.begin(), writes.end(), [](const StoreWrite& one) { return one.error != 0; });
    EXPECT_GT(failed, 0);
    EXPECT_LT(failed, 100);
    region.check();
}

class CompressedSwap : public CompressedSwapTest<64> {};

TEST_F(CompressedSwap, WritesTogetherThePagesThatDoNotShrink) {
    Remembered& region = swap_.region(60);
    Batch batch{60};
    for (std::uint64_t page = 0; page < 60; ++page) {
        batch.add(region, page, page % 5 == 0 ? incompressible(page) : textlike(page));
    }
    CountingQueue queue;
    for (const StoreWrite& one : batch.write(swap_.space(), queue)) EXPECT_EQ(one.error, 0);
    EXPECT_EQ(swap_.stats().rejections, 12U);
    EXPECT_EQ(swap_.stats().original_bytes, 48 * kPage);
    EXPECT_EQ(queue.parts, std::vector<std::size_t>{12}) << "pages that shrink have slots of their own";
    region.check(16);
}

TEST_F(CompressedSwap, WritesOfALargePageOnlyTheBlocksThatDoNotShrink) {
    Remembered& region = swap_.region(1, 65536);
    const sys::Mapping page = sys::Mapping::reserve(65536, 65536, true, "a page");
    for (std::size_t block = 0; block < 4; ++block) {
        (block == 1 || block == 2 ? incompressible(block) : textlike(block))
            .fill(page.bytes().subspan(block << 14, 1 << 14));
    }
    CountingQueue queue;
    StoreWrite write{&region.store(), 0, page.bytes(), -1};
    swap_.space().write({&write, 1}, queue);
    EXPECT_EQ(write.error, 0);
    EXPECT_EQ(queue.parts, std::vector<std::size_t>{1}) << "neighbours with one write";
    EXPECT_EQ(swap_.stats().original_bytes, 2U << 14);
    const sys::Mapping read = sys::Mapping::reserve(65536, 65536, true, "a page");
    ASSERT_EQ(region.store().read(0, read.bytes()), 0);
    EXPECT_TRUE(std::equal(page.bytes().begin(), page.bytes().end(), read.bytes().begin()));
}

TEST_F(CompressedSwap, TriesOnlyOnePageInSixteenOnceEightInARowHaveNotShrunk) {
    Remembered& region = swap_.region(64);
    for (std::uint64_t page = 0; page < 9; ++page) region.write(page, incompressible(page));
    for (std::uint64_t page = 9; page < 24; ++page) region.write(page, textlike(page));
    EXPECT_EQ(swap_.stats().original_bytes, 0U);
    EXPECT_EQ(swap_.stats().rejections, 24U);
    for (std::uint64_t page = 24; page < 34; ++page) region.write(page, textlike(page));
    EXPECT_EQ(swap_.stats().original_bytes, 10 * kPage) << "one that shrinks ends it";
    region.check();
}

}  // namespace
}  // namespace faultline::test
