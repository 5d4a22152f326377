// Walks through stored pages: which pages are read ahead, and whether the program can use them at once.

#include "fake_store.hpp"
#include "pager_fixture.hpp"

#include <cstdint>
#include <optional>

namespace faultline::test {
namespace {

class Walk : public VariantTest {
protected:
    static constexpr std::uint64_t kPages = 1024;

    // The windows of a walk double: those of its first faults, on pages 0, 1, 4, 9 and 18, reach to page 34. The next
    // window has 32 pages: 15 of them are read with page 35. The page after those is left out, so that its fault tells
    // the pager that the walk got there.
    static constexpr std::uint64_t kFirst = 36;
    static constexpr std::uint64_t kTripwire = 51;
    static constexpr std::uint64_t kEnd = 68;
    static constexpr std::uint64_t kNextTripwire = 83;
    static constexpr std::uint64_t kNextEnd = 100;

    void SetUp() override {
        VariantTest::SetUp();
        if (IsSkipped()) return;
        // More frames than pages: only explicit eviction evicts.
        pager_.emplace(config_for(GetParam(), 2 * kPages * kBasePageBytes));
        region_ = pager_->reserve(kPages * kBasePageBytes);
        for (std::uint64_t i = 0; i < kPages; ++i) write_stamps(at(i), kBasePageBytes, stamp(i));
        evict_all();
    }

    std::byte* at(std::uint64_t page) { return region_.data() + page * kBasePageBytes; }
    void evict_all() {
        FakePager::settle();
        region_.advise(region_.data(), region_.size(), Advice::dontneed);
    }
    // Continues only when background reads have finished.
    void read(std::uint64_t page) {
        ASSERT_TRUE(has_stamps(at(page), kBasePageBytes, stamp(page))) << "page " << page;
        region_.wait_for_advised(region_.data(), region_.size());
    }
    void read(std::uint64_t first, std::uint64_t end) {
        for (std::uint64_t i = first; i < end; ++i) read(i);
    }
    void write(std::uint64_t first, std::uint64_t end) {
        for (std::uint64_t i = first; i < end; ++i) {
            store_word(at(i) + 8, i + 1);
            region_.wait_for_advised(region_.data(), region_.size());
        }
    }
    RegionStats settled_stats() {
        FakePager::settle();
        return region_.stats();
    }
    static std::uint64_t pages(std::uint64_t bytes) { return bytes / kBasePageBytes; }

    std::optional<Pager> pager_;
    Region region_;
};

TEST_P(Walk, ReadsItsNextPagesWhileTheProgramRuns) {
    read(0, kFirst);
    EXPECT_EQ(pages(settled_stats().resident_bytes), kEnd - 1) << "all but the tripwire";
    const std::uint64_t faults = region_.stats().hard_faults;
    read(kFirst, kTripwire);
    read(kTripwire + 1, kEnd);
    EXPECT_EQ(settled_stats().hard_faults, faults);
}

TEST_P(Walk, BeginsTheNextWindowHalfwayThroughTheCurrentOne) {
    read(0, kFirst);
    read(kFirst, kTripwire + 1);
    EXPECT_EQ(pages(settled_stats().resident_bytes), kNextEnd - 1) << "all but the next tripwire";
    const std::uint64_t faults = region_.stats().hard_faults;
    read(kTripwire + 1, kNextTripwire);
    EXPECT_EQ(settled_stats().hard_faults, faults);
    read(kNextTripwire);
    EXPECT_EQ(settled_stats().hard_faults, faults + 1);
}

TEST_P(Walk, MayGoBackward) {
    constexpr std::uint64_t kFrom = kPages - 100;  // far from the pages that were written last
    for (std::uint64_t i = 0; i < kFirst; ++i) read(kFrom - i);
    EXPECT_EQ(pages(settled_stats().resident_bytes), kEnd - 1);
    for (std::uint64_t i = kFirst; i <= kFrom; ++i) read(kFrom - i);
}

TEST_P(Walk, ThatWritesFaultsOnceForSeveralPages) {
    write(0, kFirst);
    const std::uint64_t faults = region_.stats().write_faults;
    write(kFirst, kTripwire);
    write(kTripwire + 1, kEnd);
    EXPECT_EQ(settled_stats().write_faults, faults);
}

TEST_P(Walk, ThatWritesLosesNeitherWrittenNorUnwrittenPages) {
    write(0, kTripwire);
    evict_all();
    for (std::uint64_t i = 0; i < kPages; ++i) {
        ASSERT_EQ(load_word(at(i) + 8), i < kTripwire ? i + 1 : 0) << "page " << i;
        store_word(at(i) + 8, 0);
        ASSERT_TRUE(has_stamps(at(i), kBasePageBytes, stamp(i))) << "page " << i;
    }
}

TEST_P(Walk, ThatOnlyReadsWritesNothingBack) {
    const std::uint64_t written = settled_stats().bytes_written;
    read(0, kPages);
    evict_all();
    EXPECT_EQ(settled_stats().bytes_written, written);
}

TEST_P(Walk, MakesNoPageWritableThatTheProgramMayOnlyRead) {
    region_.protect(at(kFirst), (kEnd - kFirst) * kBasePageBytes, Access::read);
    write(0, kFirst);
    EXPECT_LE(pages(settled_stats().dirty_bytes), kFirst);
    evict_all();
    read(kFirst, kEnd);
}

INSTANTIATE_TEST_SUITE_P(deliveries, Walk, ::testing::ValuesIn(deliveries_and_evictions()), VariantName{});

}  // namespace
}  // namespace faultline::test
