// Pages begin as zeros, cost nothing until they are written, and zeros are never written to the store.

#include "fake_store.hpp"
#include "pager_fixture.hpp"

#include <cstring>
#include <vector>

namespace faultline::test {
namespace {

class Zeros : public VariantTest {
protected:
    static constexpr std::size_t kPages = 40;
    static constexpr std::size_t kLimit = 12;
};

TEST_P(Zeros, FirstTouchReadsAsZerosWhateverTheFramesHeldBefore) {
    const std::size_t page_size = GetParam().page_size;
    Pager pager{config_for(GetParam(), kLimit * page_size)};
    {
        Region before = pager.reserve(kPages * page_size, {page_size});
        std::memset(before.data(), 0xa5, before.size());
    }
    Region region = pager.reserve(kPages * page_size, {page_size});
    EXPECT_TRUE(all_zeros(region.data(), region.size()));
    FakePager::settle();
    EXPECT_EQ(region.stats().first_touches, kPages);
    EXPECT_EQ(region.stats().hard_faults, 0U);
}

TEST_P(Zeros, PagesOnlyReadAreNeverDirtyAndAreEvictedWithoutAWrite) {
    FakePager fake{GetParam(), plain_config(GetParam()), kPages, kLimit};
    for (std::uint64_t page = 0; page < kPages; ++page) touch(fake.page(page));
    EXPECT_EQ(fake.settled_stats().dirty_bytes, 0U);
    fake.evict_all();
    const RegionStats stats = fake.settled_stats();
    EXPECT_EQ(stats.evictions, kPages);
    EXPECT_EQ(stats.clean_evictions, kPages);
    EXPECT_EQ(stats.bytes_written, 0U);
    EXPECT_EQ(stats.swapped_bytes, 0U) << "a page of zeros is in no store";
    EXPECT_EQ(fake.store().writes.load(), 0U);
    EXPECT_TRUE(all_zeros(fake.page(7), fake.page_bytes()));
    EXPECT_EQ(fake.store().reads.load(), 0U);
}

TEST_P(Zeros, PagesWrittenWithZerosAreNeverWrittenToTheStore) {
    FakePager fake{GetParam(), plain_config(GetParam()), kPages, kLimit};
    for (std::uint64_t page = 0; page < kPages; ++page) std::memset(fake.page(page), 0, fake.page_bytes());
    fake.evict_all();
    const RegionStats stats = fake.settled_stats();
    EXPECT_EQ(stats.evictions, kPages);
    EXPECT_EQ(stats.clean_evictions, kPages) << "zeros cost no I/O";
    EXPECT_EQ(stats.bytes_written, 0U);
    EXPECT_EQ(fake.store().writes.load(), 0U);
    for (std::uint64_t page = 0; page < kPages; ++page) EXPECT_TRUE(all_zeros(fake.page(page), fake.page_bytes()));
    EXPECT_EQ(fake.settled_stats().hard_faults, 0U);
}

TEST_P(Zeros, OneByteAtTheEndOfAPageMakesTheStoreWriteIt) {
    FakePager fake{GetParam(), plain_config(GetParam()), kPages, kLimit};
    std::byte* const last = fake.page(1) - 1;
    *last = std::byte{1};
    fake.evict_all();
    EXPECT_EQ(fake.settled_stats().bytes_written, fake.page_bytes());
    EXPECT_EQ(*last, std::byte{1});
}

TEST_P(Zeros, PageOverwrittenWithZerosFreesItsSlot) {
    FakePager fake{GetParam(), plain_config(GetParam()), kPages, kLimit};
    std::memset(fake.page(3), 1, fake.page_bytes());
    fake.evict_all();
    ASSERT_EQ(fake.settled_stats().swapped_bytes, fake.page_bytes());
    std::memset(fake.page(3), 0, fake.page_bytes());
    fake.evict_all();
    EXPECT_EQ(fake.settled_stats().swapped_bytes, 0U);
    EXPECT_EQ(fake.store().bytes_discarded.load(), fake.page_bytes());
    EXPECT_TRUE(all_zeros(fake.page(3), fake.page_bytes()));
    EXPECT_EQ(fake.settled_stats().bytes_written, fake.page_bytes()) << "once, for the ones";
}

TEST_P(Zeros, CleanPageKeepsItsSlotSoThatEvictingItAgainCostsNothing) {
    FakePager fake{GetParam(), plain_config(GetParam()), kPages, kLimit};
    for (std::uint64_t page = 0; page < 8; ++page) write_stamps(fake.page(page), fake.page_bytes(), stamp(page));
    fake.evict_all();
    const std::uint64_t written = fake.settled_stats().bytes_written;
    EXPECT_EQ(written, 8 * fake.page_bytes());
    for (int round = 0; round < 3; ++round) {
        for (std::uint64_t page = 0; page < 8; ++page) {
            EXPECT_TRUE(has_stamps(fake.page(page), fake.page_bytes(), stamp(page)));
        }
        fake.evict_all();
    }
    const RegionStats stats = fake.settled_stats();
    EXPECT_EQ(stats.hard_faults, 3 * 8U);
    EXPECT_EQ(stats.bytes_written, written);
    EXPECT_EQ(stats.clean_evictions, 3 * 8U);
    EXPECT_EQ(fake.store().bytes_discarded.load(), 0U);
}

TEST_P(Zeros, PageChangedAfterItCameBackIsWrittenAgain) {
    FakePager fake{GetParam(), plain_config(GetParam()), kPages, kLimit};
    for (std::uint64_t version = 0; version < 4; ++version) {
        write_stamps(fake.page(5), fake.page_bytes(), stamp(5, version));
        fake.evict_all();
        EXPECT_TRUE(has_stamps(fake.page(5), fake.page_bytes(), stamp(5, version)));
    }
    EXPECT_EQ(fake.settled_stats().bytes_written, 4 * fake.page_bytes());
}

INSTANTIATE_TEST_SUITE_P(matrix, Zeros, ::testing::ValuesIn([] {
                             std::vector<Variant> all = deliveries_and_evictions();
                             for (std::size_t page_size : {std::size_t{64} << 10, std::size_t{2} << 20}) {
                                 all.push_back({Delivery::uffd_signal, Eviction::move, Replacement::fifo, page_size});
                             }
                             return all;
                         }()),
                         VariantName{});

}  // namespace
}  // namespace faultline::test
