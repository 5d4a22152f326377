// A page of 4 KiB that had been written to when it left, not only by its first bytes, comes back writable. Its checksum
// says when it leaves whether it has changed.

#include "fake_store.hpp"
#include "pager_fixture.hpp"

#include <optional>

namespace faultline::test {
namespace {

class WrittenBefore : public VariantTest {
protected:
    static constexpr std::size_t kPages = 20;
    static constexpr std::size_t kLimit = 64;

    void SetUp() override {
        VariantTest::SetUp();
        if (IsSkipped()) return;
        if (GetParam().page_size != kBasePageBytes) GTEST_SKIP() << "larger pages come back write-protected";
        fake_.emplace(GetParam(), plain_config(GetParam()), kPages, kLimit);
        write_all(7);
        fake_->evict_all();
        write_all(1);
        fake_->evict_all();
        before_ = fake_->settled_stats();
    }
    /// Returns what has happened since SetUp.
    [[nodiscard]] RegionStats since() {
        RegionStats stats = fake_->settled_stats();
        stats.hard_faults -= before_.hard_faults;
        stats.write_faults -= before_.write_faults;
        stats.clean_evictions -= before_.clean_evictions;
        return stats;
    }
    /// Writes one word of each page: `value` and the page's number.
    void write_all(std::uint64_t value) {
        for (std::uint64_t page = 0; page < kPages; ++page) store_word(fake_->page(page) + 512, value << 32 | page);
    }
    [[nodiscard]] std::uint64_t pages_without(std::uint64_t value) {
        std::uint64_t wrong = 0;
        for (std::uint64_t page = 0; page < kPages; ++page) {
            wrong += load_word(fake_->page(page) + 512) == (value << 32 | page) ? 0U : 1U;
        }
        return wrong;
    }

    std::optional<FakePager> fake_;
    RegionStats before_;
};

TEST_P(WrittenBefore, PageWithItsFirstBytesComesBackClean) {
    FakePager fresh{GetParam(), plain_config(GetParam()), kPages, kLimit};
    for (std::uint64_t page = 0; page < kPages; ++page) store_word(fresh.page(page), page + 1);
    fresh.evict_all();
    for (std::uint64_t page = 0; page < kPages; ++page) EXPECT_EQ(load_word(fresh.page(page)), page + 1);
    EXPECT_EQ(fresh.settled_stats().dirty_bytes, 0U);
}

TEST_P(WrittenBefore, PageThatIsReadThenWrittenFaultsOnce) {
    EXPECT_EQ(pages_without(1), 0U);
    write_all(2);
    const RegionStats stats = since();
    EXPECT_EQ(stats.hard_faults, kPages);
    EXPECT_EQ(stats.write_faults, 0U);
    fake_->evict_all();
    EXPECT_EQ(pages_without(2), 0U);
}

TEST_P(WrittenBefore, PageThatIsOnlyReadLeavesWithoutAWriteAndComesBackClean) {
    EXPECT_EQ(pages_without(1), 0U);
    fake_->evict_all();
    EXPECT_EQ(since().clean_evictions, kPages);
    EXPECT_EQ(pages_without(1), 0U);
    EXPECT_EQ(fake_->settled_stats().dirty_bytes, 0U);
    write_all(2);
    EXPECT_EQ(since().write_faults, kPages);
    fake_->evict_all();
    EXPECT_EQ(pages_without(2), 0U);
}

TEST_P(WrittenBefore, ChangeThatIsUndoneBeforeThePageLeavesNeedsNoWrite) {
    EXPECT_EQ(pages_without(1), 0U);
    write_all(2);
    write_all(1);
    const std::uint64_t written = fake_->settled_stats().bytes_written;
    fake_->evict_all();
    EXPECT_EQ(fake_->settled_stats().bytes_written, written);
    EXPECT_EQ(pages_without(1), 0U);
}

TEST_P(WrittenBefore, PageTakenBackFromStagingLosesNoLaterChange) {
    EXPECT_EQ(pages_without(1), 0U);
    write_all(2);
    fake_->store().write_error.store(ENOSPC);
    fake_->evict_all();  // to the staging area only
    fake_->store().write_error.store(0);
    write_all(1);  // what the checksum of their arrival says
    write_all(3);
    fake_->evict_all();
    EXPECT_EQ(pages_without(3), 0U);
}

INSTANTIATE_TEST_SUITE_P(matrix, WrittenBefore, ::testing::ValuesIn(deliveries_and_evictions()), VariantName{});

}  // namespace
}  // namespace faultline::test
