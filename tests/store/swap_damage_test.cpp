// Damaged bytes, in the swap file or in memory, are EIO at exactly the page that they belong to, and never other bytes.
#include "store/swap_fixture.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <string>
#include <tuple>
#include <vector>

namespace faultline::test {
namespace {

class DamagedSwap : public testing::TestWithParam<std::tuple<std::size_t, bool>> {
protected:
    [[nodiscard]] static std::size_t page_bytes() { return std::get<0>(GetParam()); }
    [[nodiscard]] static bool spilled() { return std::get<1>(GetParam()); }

    /// Writes 8 pages that are in the file afterwards.
    Remembered& pages_in_the_file() {
        Remembered& region = swap_.region(8, page_bytes());
        for (std::uint64_t page = 0; page < 8; ++page)
            region.write(page, spilled() ? textlike(page) : contents_of(page, 0));
        EXPECT_EQ(swap_.spill_all(), 0);
        return region;
    }

    TemporaryDirectory directory_{"/var/tmp"};
    SwapMachine swap_{directory_.path(), spilled() ? 300 * kSegment : 0};
};

TEST_P(DamagedSwap, AFlippedBitInTheFileIsAnErrorOfThatPageAlone) {
    Remembered& region = pages_in_the_file();
    EXPECT_EQ(swap_.stats().spills > 0, spilled());
    swap_.flip_bit(region, 2, 1000);
    swap_.flip_bit(region, 5, page_bytes() - 1);
    for (std::uint64_t page = 0; page < 8; ++page) {
        if (page == 2 || page == 5) {
            EXPECT_EQ(region.error_of_read(page), EIO) << "page " << page;
        } else {
            ASSERT_NO_FATAL_FAILURE(region.check_range(page, 1));
        }
    }
    EXPECT_GE(swap_.stats().damaged, 2U);
    EXPECT_EQ(region.error_of_read(0, 8), EIO) << "a read of several pages";
    ASSERT_NO_FATAL_FAILURE(region.check_range(3, 2));

    swap_.flip_bit(region, 5, page_bytes() - 1);
    ASSERT_NO_FATAL_FAILURE(region.check_range(5, 1)) << "the bytes are right again";
    region.write(2, incompressible(22));
    region.check();
}

TEST_P(DamagedSwap, OfALargePageOnlyTheBlockWithTheFlippedBitIsAnError) {
    constexpr std::size_t kPiece = std::size_t{16} << 10;
    if (page_bytes() <= kPiece) GTEST_SKIP() << "pages of this size are one block";
    Remembered& region = pages_in_the_file();
    swap_.flip_bit(region, 1, kPiece + 5);
    const sys::Mapping piece = sys::Mapping::reserve(kPiece, kPiece, true, "a piece");
    for (std::size_t at = 0; at < page_bytes(); at += kPiece) {
        EXPECT_EQ(region.store().read(page_bytes() + at, piece.bytes()), at == kPiece ? EIO : 0) << "at " << at;
    }
    region.now_has(1, std::nullopt);
    region.discard(1, 1);
}

TEST_P(DamagedSwap, BytesOfAnotherPageAreNotBelieved) {
    Remembered& region = pages_in_the_file();
    store::SlotTable& table = swap_.space().slots().table();
    const store::SlotNumber from = SwapMachine::swap_store(region).location_of(3);
    const store::SlotNumber to = SwapMachine::swap_store(region).location_of(4);
    const sys::Mapping page = sys::Mapping::reserve(page_bytes(), page_bytes(), true, "a page");
    ASSERT_EQ(
        ::pread(table.device_of(from).fd(), page.data(), page.size(), static_cast<off_t>(table.file_offset_of(from))),
        static_cast<ssize_t>(page.size()));
    const iovec part{page.data(), page.size()};
    ASSERT_EQ(table.device_of(to).write(table.file_offset_of(to), {&part, 1}), 0) << "as a misdirected write does";
    EXPECT_EQ(region.error_of_read(4), EIO);
    ASSERT_NO_FATAL_FAILURE(region.check_range(3, 1));
    region.discard(4, 1);
}

TEST_P(DamagedSwap, BytesThatNeverReachedTheFileAreNotBelieved) {
    Remembered& region = pages_in_the_file();
    store::SlotTable& table = swap_.space().slots().table();
    const store::SlotNumber slot = SwapMachine::swap_store(region).location_of(6);
    table.device_of(slot).punch(table.file_offset_of(slot), page_bytes());  // zeros, as after a lost write
    EXPECT_EQ(region.error_of_read(6), EIO);
    region.discard(6, 1);
}

INSTANTIATE_TEST_SUITE_P(Pages, DamagedSwap,
                         testing::Combine(testing::Values(4096, 16384, 65536, 2097152), testing::Bool()),
                         [](const auto& instance) {
                             return std::to_string(std::get<0>(instance.param) >> 10) + "KiB_" +
                                    (std::get<1>(instance.param) ? "spilled" : "plain");
                         });

// ---- In memory

class DamagedMemory : public CompressedSwapTest<16> {
protected:
    /// Returns the compressed bytes of three pages, which are the first in memory.
    [[nodiscard]] std::span<std::byte> memory() { return swap_.pool().memory(); }
};

TEST_F(DamagedMemory, ABitFlippedInMemoryIsAnErrorOfThatPageAloneAndKeepsNoMemory) {
    Remembered& region = swap_.region(3);
    region.write(0, textlike(0));
    region.write(1, textlike(1));
    region.write(2, textlike(2));
    const std::size_t entry = swap_.stats().compressed_bytes / 3;
    memory()[entry + entry / 2] ^= std::byte{16};
    EXPECT_EQ(region.error_of_read(1), EIO);
    ASSERT_NO_FATAL_FAILURE(region.check_range(0, 1));
    ASSERT_NO_FATAL_FAILURE(region.check_range(2, 1));

    ASSERT_EQ(swap_.spill_all(), 0);
    EXPECT_EQ(swap_.stats().used_bytes, 0U);
    EXPECT_EQ(swap_.stats().spills, 2U);
    EXPECT_EQ(region.error_of_read(1), EIO) << "the page is lost, not zeros";
    EXPECT_EQ(region.store().whereabouts(kPage).place, store::Whereabouts::Place::nowhere);
    ASSERT_NO_FATAL_FAILURE(region.check_range(0, 1));
    ASSERT_NO_FATAL_FAILURE(region.check_range(2, 1));
    region.write(1, textlike(4));
    region.check();
}

TEST_F(DamagedMemory, ALostPageCanBeDiscardedAndSharedLikeAnyOther) {
    Remembered& region = swap_.region(1);
    region.write(0, textlike(0));
    memory()[swap_.stats().compressed_bytes / 2] ^= std::byte{1};
    ASSERT_EQ(swap_.spill_all(), 0);
    region.now_has(0, std::nullopt);
    Remembered& clone = swap_.clone_of(region);
    EXPECT_EQ(clone.error_of_read(0), EIO);
    region.discard(0, 1);
    EXPECT_EQ(clone.error_of_read(0), EIO);
    swap_.audit();
}

TEST_F(DamagedMemory, AnOverwrittenEntryIsNotBelievedAndNotLostFromSight) {
    Remembered& region = swap_.region(1);
    region.write(0, textlike(1));
    std::vector<std::byte> header(16);
    std::copy_n(memory().begin(), header.size(), header.begin());
    std::fill_n(memory().begin() + 12, 4, std::byte{0xff});  // the lengths, which locate the next entry
    EXPECT_EQ(region.error_of_read(0), EIO);
    EXPECT_EQ(swap_.spill_all(), EIO) << "not everything is in the file";
    EXPECT_EQ(region.error_of_read(0), EIO);
    std::copy(header.begin(), header.end(), memory().begin());
    region.check();
}

}  // namespace
}  // namespace faultline::test
