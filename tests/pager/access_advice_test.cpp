// Advice about future accesses: the access pattern of a range, and ranges that will not be needed soon.

#include "fake_store.hpp"
#include "pager_fixture.hpp"

#include <cstdint>
#include <optional>

namespace faultline::test {
namespace {

constexpr std::uint64_t kBlockPages = (std::uint64_t{2} << 20) / kBasePageBytes;

// ---- sequential, random, normal

class ExpectedAccess : public VariantTest {
protected:
    static constexpr std::uint64_t kPages = 2 * kBlockPages;

    void SetUp() override {
        VariantTest::SetUp();
        if (IsSkipped()) return;
        pager_.emplace(config_for(GetParam(), (kPages + Pager::kMinimumPages) * kBasePageBytes));
        region_ = pager_->reserve(kPages * kBasePageBytes);
        for (std::uint64_t i = 0; i < kPages; ++i) store_word(at(i), stamp(i));
        FakePager::settle();
        region_.advise(region_.data(), region_.size(), Advice::dontneed);
    }

    std::byte* at(std::uint64_t page) { return region_.data() + page * kBasePageBytes; }
    void expect_access(std::uint64_t first, std::uint64_t count, Advice advice) {
        region_.advise(at(first), count * kBasePageBytes, advice);
    }
    /// Returns the number of resident pages that were not touched.
    std::uint64_t read_ahead_when_touched(std::uint64_t first, std::uint64_t count) {
        FakePager::settle();
        const std::uint64_t before = region_.stats().pages_read_ahead;
        for (std::uint64_t i = first; i < first + count; ++i) EXPECT_EQ(load_word(at(i)), stamp(i)) << "page " << i;
        region_.wait_for_advised(region_.data(), region_.size());  // background reads have finished
        FakePager::settle();
        return region_.stats().pages_read_ahead - before;
    }

    std::optional<Pager> pager_;
    Region region_;
};

TEST_P(ExpectedAccess, RandomReadsNothingAheadEvenIfPagesAreTouchedInOrder) {
    expect_access(0, kPages, Advice::random);
    EXPECT_EQ(read_ahead_when_touched(100, 60), 0U);
}

TEST_P(ExpectedAccess, SequentialReadsAheadFromTheFirstFaultOn) {
    EXPECT_EQ(read_ahead_when_touched(50, 1), 0U) << "one fault is no walk";
    expect_access(0, kPages, Advice::sequential);
    EXPECT_GT(read_ahead_when_touched(100, 1), 0U);
}

TEST_P(ExpectedAccess, NormalRestoresTheDefault) {
    expect_access(0, kPages, Advice::sequential);
    expect_access(0, kPages, Advice::normal);
    EXPECT_EQ(read_ahead_when_touched(50, 1), 0U);
    expect_access(0, kPages, Advice::random);
    expect_access(0, kPages, Advice::normal);
    EXPECT_GT(read_ahead_when_touched(100, 60), 0U);
}

TEST_P(ExpectedAccess, AdviceHoldsForTheBlocksThatItsRangeTouches) {
    expect_access(kBlockPages + 7, 1, Advice::random);
    EXPECT_GT(read_ahead_when_touched(100, 60), 0U);
    EXPECT_EQ(read_ahead_when_touched(kBlockPages + 100, 60), 0U);
}

TEST_P(ExpectedAccess, AdviceForAnEmptyRangeChangesNothing) {
    region_.advise(at(3), 0, Advice::random);
    region_.advise(region_.data() + region_.size(), 0, Advice::random);
    EXPECT_GT(read_ahead_when_touched(100, 60), 0U);
}

INSTANTIATE_TEST_SUITE_P(deliveries, ExpectedAccess, ::testing::ValuesIn(deliveries_and_evictions()), VariantName{});

// ---- cold

class Cold : public VariantTest {
protected:
    static constexpr std::uint64_t kHalf = 64;
    static constexpr std::uint64_t kMore = 40;

    static Config config() {
        Config config = plain_config(GetParam());
        config.read_ahead = false;
        return config;
    }
    static std::uint64_t resident(const pager::Region& region, std::uint64_t first, std::uint64_t count) {
        std::uint64_t found = 0;
        for (std::uint64_t page = first; page < first + count; ++page) {
            if (region.load(page).is(core::PageState::resident)) ++found;
        }
        return found;
    }
};

TEST_P(Cold, PagesAreEvictedBeforeAllOthersAndKeepTheirBytes) {
    FakePager fake{GetParam(), config(), 2 * kHalf + kMore, 2 * kHalf + 1};
    for (std::uint64_t page = 0; page < 2 * kHalf; ++page) store_word(fake.page(page), stamp(page));
    FakePager::settle();
    fake.pager().advice().mark_cold(fake.region(), {kHalf, kHalf});
    for (std::uint64_t page = 2 * kHalf; page < 2 * kHalf + kMore; ++page) store_word(fake.page(page), stamp(page));
    FakePager::settle();
    EXPECT_EQ(resident(fake.region(), 0, kHalf), kHalf) << "what was not called cold stays";
    EXPECT_LE(resident(fake.region(), kHalf, kHalf), kHalf - kMore + 1);
    for (std::uint64_t page = 0; page < 2 * kHalf + kMore; ++page) EXPECT_EQ(load_word(fake.page(page)), stamp(page));
}

TEST_P(Cold, AdviceForAbsentPagesChangesNothing) {
    FakePager fake{GetParam(), config(), kHalf, kHalf + Pager::kMinimumPages};
    for (std::uint64_t page = 0; page < kHalf; page += 2) store_word(fake.page(page), stamp(page));
    fake.evict_all();
    fake.pager().advice().mark_cold(fake.region(), {0, kHalf});
    for (std::uint64_t page = 0; page < kHalf; ++page) {
        EXPECT_EQ(load_word(fake.page(page)), page % 2 == 0 ? stamp(page) : 0U);
    }
}

INSTANTIATE_TEST_SUITE_P(second_chance, Cold, ::testing::ValuesIn(deliveries_and_evictions()), VariantName{});
INSTANTIATE_TEST_SUITE_P(fifo, Cold, ::testing::ValuesIn(deliveries_and_evictions(Replacement::fifo)), VariantName{});

}  // namespace
}  // namespace faultline::test
