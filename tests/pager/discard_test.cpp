// A discarded range reads as zeros, and its frames and swap space are free.

#include "fake_store.hpp"
#include "pager_fixture.hpp"
#include "swap_folder.hpp"

#include <algorithm>
#include <atomic>
#include <random>
#include <thread>
#include <vector>

namespace faultline::test {
namespace {

class Discard : public VariantTest {
protected:
    static constexpr std::size_t kPages = 64;
};

void fill(Region& region) {
    for (std::uint64_t page = 0; page < region.size() / region.page_size(); ++page) {
        write_stamps(region.data() + page * region.page_size(), region.page_size(), stamp(page));
    }
}

TEST_P(Discard, RangeReadsAsZerosWhereverItsPagesWere) {
    const std::size_t page_size = GetParam().page_size;
    Pager pager{config_for(GetParam(), kPages / 2 * page_size)};
    Region region = pager.reserve(kPages * page_size, {page_size});
    fill(region);  // half of it is resident then, half is in the store
    std::byte* const begin = region.data() + 8 * page_size;
    region.discard(begin, 48 * page_size);
    EXPECT_TRUE(all_zeros(begin, 48 * page_size));
    for (std::uint64_t page = 0; page < kPages; ++page) {
        if (page >= 8 && page < 56) continue;
        EXPECT_TRUE(has_stamps(region.data() + page * page_size, page_size, stamp(page))) << "neighbour " << page;
    }
}

TEST_P(Discard, DiscardedPagesFreeTheirFrames) {
    FakePager fake{GetParam(), plain_config(GetParam()), kPages, kPages + Pager::kMinimumPages};
    for (std::uint64_t page = 0; page < kPages; ++page) store_word(fake.page(page), stamp(page));
    ASSERT_EQ(fake.settled_stats().resident_bytes, kPages * fake.page_bytes());
    fake.pager().discarder().discard(fake.region(), {0, kPages});
    const RegionStats stats = fake.settled_stats();
    EXPECT_EQ(stats.resident_bytes, 0U);
    EXPECT_EQ(stats.dirty_bytes, 0U);
    EXPECT_EQ(fake.pager().stats().frames_used, 0U);
    EXPECT_EQ(fake.store().writes.load(), 0U) << "nobody wants what is discarded";
}

TEST_P(Discard, DiscardedPagesFreeTheirSlots) {
    FakePager fake{GetParam(), plain_config(GetParam()), kPages, kPages + Pager::kMinimumPages};
    for (std::uint64_t page = 0; page < kPages; ++page) store_word(fake.page(page), stamp(page));
    fake.evict_all();
    for (std::uint64_t page = 0; page < kPages / 2; ++page) touch(fake.page(page));  // resident, with a slot
    ASSERT_EQ(fake.store().bytes_discarded.load(), 0U);
    fake.pager().discarder().discard(fake.region(), {0, kPages});
    EXPECT_EQ(fake.store().bytes_discarded.load(), kPages * fake.page_bytes());
    EXPECT_EQ(fake.settled_stats().swapped_bytes, 0U);
    for (std::uint64_t page = 0; page < kPages; ++page) EXPECT_EQ(load_word(fake.page(page)), 0U);
}

TEST_P(Discard, SwapFileShrinksOnTheDiskWithThePagesAndTheRegion) {
    const Watchdog watchdog;
    const SwapFolder folder;
    const std::size_t page_size = GetParam().page_size;
    const std::size_t bytes = std::max(kPages * page_size, std::size_t{16} << 20);
    Config config = config_for(GetParam(), 16 * page_size);
    config.swap_directory = folder.path();
    Pager pager{config};
    EXPECT_TRUE(folder.empty()) << "the swap file must not have a name";
    const std::size_t at_first = folder.bytes_on_disk();
    Region region = pager.reserve(bytes, {page_size});
    fill(region);
    const std::size_t full = folder.bytes_on_disk();
    EXPECT_GE(full, at_first + bytes - 16 * page_size);
    region.discard(region.data(), bytes / 2);
    // The space is returned in the background, in pieces of 2 MiB. At both ends of the half a piece may be in use.
    constexpr std::size_t kEnds = std::size_t{6} << 20;
    while (folder.bytes_on_disk() > full - bytes / 2 + kEnds) std::this_thread::yield();
    region.destroy();
    while (folder.bytes_on_disk() > at_first) std::this_thread::yield();
}

/// Threads write, read and discard interleaved pages of their own. Discarded contents must not come back.
TEST_P(Discard, OldContentsNeverComeBackWhilePagesAreEvictedAllAround) {
    const Watchdog watchdog;
    constexpr unsigned kThreads = 4;
    const std::size_t page_size = GetParam().page_size;
    Pager pager{config_for(GetParam(), 14 * page_size)};
    Region region = pager.reserve(kPages * page_size, {page_size});
    std::atomic<int> wrong{0};
    run_threads(kThreads, [&](unsigned thread) {
        std::mt19937_64 random{thread};
        std::vector<std::uint64_t> expected(kPages);
        for (int i = 0; i < 800; ++i) {
            const std::uint64_t page = random() % (kPages / kThreads) * kThreads + thread;
            std::byte* const at = region.data() + page * page_size;
            if (load_word(at) != expected[page]) wrong.fetch_add(1);
            if (random() % 3 == 0) {
                region.discard(at, page_size);
                expected[page] = 0;
            } else {
                expected[page] = random();
                store_word(at, expected[page]);
            }
        }
    });
    EXPECT_EQ(wrong.load(), 0);
}

INSTANTIATE_TEST_SUITE_P(matrix, Discard, ::testing::ValuesIn([] {
                             std::vector<Variant> all = deliveries_and_evictions();
                             const auto large = deliveries_and_evictions(Replacement::fifo, std::size_t{64} << 10);
                             all.insert(all.end(), large.begin(), large.end());
                             return all;
                         }()),
                         VariantName{});

}  // namespace
}  // namespace faultline::test
