// Counters count exactly what happened, and the figures agree with each other.

#include "fake_store.hpp"
#include "pager_fixture.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <vector>

namespace faultline::test {
namespace {

class Stats : public VariantTest {
protected:
    static constexpr std::size_t kPages = 20;
    static constexpr std::size_t kLimit = 64;

    void SetUp() override {
        VariantTest::SetUp();
        if (!IsSkipped()) fake_.emplace(GetParam(), plain_config(GetParam()), kPages, kLimit);
    }
    [[nodiscard]] std::byte* at(std::uint64_t page) { return fake_->page(page); }
    [[nodiscard]] std::uint64_t bytes(std::uint64_t pages) const { return pages * GetParam().page_size; }
    void read_all() {
        for (std::uint64_t page = 0; page < kPages; ++page) touch(at(page));
    }
    void write_all() {
        for (std::uint64_t page = 0; page < kPages; ++page) store_word(at(page) + 64, stamp(page));
    }

    std::optional<FakePager> fake_;
};

TEST_P(Stats, FirstTouchesAreCountedOnceForEachPage) {
    read_all();
    read_all();
    RegionStats stats = fake_->settled_stats();
    EXPECT_EQ(stats.first_touches, kPages);
    EXPECT_EQ(stats.write_faults, 0U);
    EXPECT_EQ(stats.resident_bytes, bytes(kPages));
    EXPECT_EQ(stats.dirty_bytes, 0U);
}

TEST_P(Stats, FirstTouchThatWritesIsNoWriteFault) {
    write_all();
    const RegionStats stats = fake_->settled_stats();
    EXPECT_EQ(stats.first_touches, kPages);
    EXPECT_EQ(stats.write_faults, 0U);
    EXPECT_EQ(stats.dirty_bytes, bytes(kPages));
}

TEST_P(Stats, WriteFaultsAreCountedOnceForEachCleanPage) {
    read_all();
    write_all();
    write_all();
    const RegionStats stats = fake_->settled_stats();
    EXPECT_EQ(stats.first_touches, kPages);
    EXPECT_EQ(stats.write_faults, kPages);
    EXPECT_EQ(stats.dirty_bytes, bytes(kPages));
}

TEST_P(Stats, HardFaultsAndTrafficAreCountedExactly) {
    write_all();
    fake_->evict_all();
    RegionStats stats = fake_->settled_stats();
    EXPECT_EQ(stats.evictions, kPages);
    EXPECT_EQ(stats.clean_evictions, 0U);
    EXPECT_EQ(stats.bytes_written, bytes(kPages));
    EXPECT_EQ(stats.swapped_bytes, bytes(kPages));
    EXPECT_EQ(stats.resident_bytes + stats.staged_bytes + stats.dirty_bytes, 0U);
    EXPECT_EQ(fake_->pager().stats().frames_used, 0U);

    for (std::uint64_t page = 0; page < 7; ++page) touch(at(page));
    for (std::uint64_t page = 7; page < 10; ++page) store_word(at(page), 1);
    stats = fake_->settled_stats();
    EXPECT_EQ(stats.hard_faults, 10U);
    EXPECT_EQ(stats.write_faults, 0U) << "a hard fault that writes needs no second one";
    EXPECT_EQ(stats.pages_read_ahead, 0U);
    EXPECT_EQ(stats.bytes_read, bytes(10));
    EXPECT_EQ(stats.resident_bytes, bytes(10));
    EXPECT_EQ(stats.dirty_bytes, bytes(3));
    EXPECT_EQ(stats.swapped_bytes, bytes(kPages - 10));
    EXPECT_EQ(fake_->pager().stats().frames_used, bytes(10));
    fake_->evict_all();
    stats = fake_->settled_stats();
    EXPECT_EQ(stats.clean_evictions, 7U);
    EXPECT_EQ(stats.bytes_written, bytes(kPages + 3));
}

TEST_P(Stats, SoftFaultsAreCountedExactly) {
    write_all();
    FakePager::settle();
    fake_->store().write_error.store(ENOSPC);
    fake_->evict_all();  // to the staging area only
    EXPECT_EQ(fake_->settled_stats().staged_bytes, bytes(kPages));
    for (std::uint64_t page = 0; page < 6; ++page) touch(at(page));
    const RegionStats stats = fake_->settled_stats();
    EXPECT_EQ(stats.soft_faults, 6U);
    EXPECT_EQ(stats.hard_faults, 0U);
    EXPECT_EQ(stats.evictions, 0U) << "their frames were never given up";
    EXPECT_EQ(stats.staged_bytes, bytes(kPages - 6));
    EXPECT_EQ(stats.resident_bytes, bytes(6));
    EXPECT_EQ(stats.write_errors, kPages);
}

TEST_P(Stats, LatenciesAreRecordedOnceForEachFault) {
    read_all();
    for (std::uint64_t page = 0; page < 9; ++page) store_word(at(page), 1);
    fake_->evict_all();
    for (std::uint64_t page = 0; page < 5; ++page) touch(at(page));
    FakePager::settle();
    const PagerStats stats = fake_->pager().stats();
    EXPECT_EQ(stats.first_touch_latency.count(), stats.first_touches);
    EXPECT_EQ(stats.write_latency.count(), stats.write_faults);
    EXPECT_EQ(stats.hard_latency.count(), stats.hard_faults);
    EXPECT_EQ(stats.soft_latency.count(), stats.soft_faults);
    EXPECT_EQ(stats.first_touches, kPages);
    EXPECT_EQ(stats.write_faults, 9U);
    EXPECT_EQ(stats.hard_faults, 5U);
    EXPECT_GT(stats.hard_latency.quantile(0.5), 0U);
}

TEST_P(Stats, ReadAheadIsCountedBesideTheFaults) {
    Config config = plain_config(GetParam());
    config.read_ahead = true;
    FakePager fake{GetParam(), config, kPages, kLimit};
    for (std::uint64_t page = 0; page < kPages; ++page) store_word(fake.page(page), stamp(page));
    fake.evict_all();
    for (std::uint64_t page = 0; page < kPages; ++page) EXPECT_EQ(load_word(fake.page(page)), stamp(page));
    const RegionStats stats = fake.settled_stats();
    EXPECT_EQ(stats.hard_faults + stats.pages_read_ahead, kPages);
    EXPECT_EQ(stats.bytes_read, bytes(kPages));
    if (GetParam().page_size == kBasePageBytes) {
        EXPECT_GE(stats.pages_read_ahead, kPages / 2) << "a walk in order must be noticed";
    }
}

TEST_P(Stats, AdviceBringsPagesInAndTakesThemOut) {
    write_all();
    fake_->evict_all();
    fake_->pager().read_ahead().prefetch(fake_->region(), {2, 10});
    RegionStats stats = fake_->settled_stats();
    EXPECT_EQ(stats.resident_bytes, bytes(10));
    EXPECT_EQ(stats.pages_read_ahead, 10U);
    for (std::uint64_t page = 2; page < 12; ++page) EXPECT_EQ(load_word(at(page) + 64), stamp(page));
    EXPECT_EQ(fake_->settled_stats().hard_faults, 0U);
    fake_->evict({2, 4});
    stats = fake_->settled_stats();
    EXPECT_EQ(stats.resident_bytes, bytes(6));
    EXPECT_EQ(stats.clean_evictions, 4U);
}

INSTANTIATE_TEST_SUITE_P(matrix, Stats, ::testing::ValuesIn([] {
                             std::vector<Variant> all = deliveries_and_evictions();
                             const auto large = deliveries_and_evictions(Replacement::fifo, std::size_t{64} << 10);
                             all.insert(all.end(), large.begin(), large.end());
                             return all;
                         }()),
                         VariantName{});

class Residency : public VariantTest {};

TEST_P(Residency, CellsSumUpToTheRegionWhateverTheirNumber) {
    const std::size_t pages = 101;
    Pager pager{config_for(GetParam(), 32 * kBasePageBytes)};
    Region region = pager.reserve(pages * kBasePageBytes);
    for (std::uint64_t page = 0; page < 70; ++page) store_word(region.data() + page * kBasePageBytes, stamp(page));
    FakePager::settle();
    const RegionStats stats = region.stats();
    for (const std::size_t count : {1U, 2U, 7U, 50U, 101U, 300U}) {
        std::vector<ResidencyCell> cells(count);
        region.residency(cells);
        ResidencyCell sum;
        for (const ResidencyCell& cell : cells) {
            EXPECT_LE(cell.untouched + cell.resident + cell.staged + cell.swapped,
                      (pages / count + 1) * kBasePageBytes);
            sum.untouched += cell.untouched;
            sum.resident += cell.resident;
            sum.dirty += cell.dirty;
            sum.staged += cell.staged;
            sum.swapped += cell.swapped;
        }
        EXPECT_EQ(sum.untouched + sum.resident + sum.staged + sum.swapped, region.size()) << count;
        EXPECT_EQ(sum.untouched, 31 * kBasePageBytes) << count;
        EXPECT_EQ(sum.resident, stats.resident_bytes) << count;
        EXPECT_EQ(sum.swapped, stats.swapped_bytes) << count;
    }
    FakePager::settle();
    EXPECT_EQ(region.stats().hard_faults, stats.hard_faults) << "looking pages nothing in";
}

INSTANTIATE_TEST_SUITE_P(matrix, Residency, ::testing::ValuesIn(deliveries_and_evictions()), VariantName{});

}  // namespace
}  // namespace faultline::test
