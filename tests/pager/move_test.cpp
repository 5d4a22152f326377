// Contents that are moved within a region: all of them arrive, whatever state their pages were in, and the source is
// empty afterwards.

#include "fake_store.hpp"
#include "pager_fixture.hpp"

namespace faultline::test {
namespace {

class Moving : public VariantTest {
protected:
    static constexpr std::uint64_t kPages = 128;
    static constexpr std::uint64_t kTo = 200;
};

TEST_P(Moving, PagesArriveFromEveryStateAndLeaveNothingBehind) {
    FakePager fake{GetParam(), plain_config(GetParam()), 400, 100};
    for (std::uint64_t page = 0; page < kPages; ++page) {
        if (page % 8 != 3) store_word(fake.page(page), stamp(page));  // the others stay untouched
    }
    fake.evict({0, 64});
    for (std::uint64_t page = 0; page < 32; ++page) {  // these are clean, dirty again, or still in the store only
        if (page % 3 == 0) static_cast<void>(touch(fake.page(page)));
        if (page % 3 == 1) store_word(fake.page(page) + 8, page);
    }
    for (std::uint64_t page = kTo; page < kTo + kPages; page += 5) store_word(fake.page(page), 1);
    const std::uint64_t moved = fake.pager().mover().move(fake.region(), {0, kPages}, kTo);
    if (GetParam().delivery == Delivery::sigsegv) {
        EXPECT_EQ(moved, 0U) << "a page's bytes are at its place in a file there";
        EXPECT_EQ(load_word(fake.page(0)), stamp(0));
        return;
    }
    ASSERT_EQ(moved, kPages);
    const RegionStats stats = fake.settled_stats();
    EXPECT_LE(stats.resident_bytes + stats.staged_bytes, 100 * kBasePageBytes);
    EXPECT_LE(stats.resident_bytes + stats.staged_bytes + stats.swapped_bytes, kPages * kBasePageBytes);
    for (std::uint64_t page = 0; page < kPages; ++page) {
        ASSERT_EQ(load_word(fake.page(kTo + page)), page % 8 == 3 ? 0 : stamp(page)) << page;
        if (page < 32) {
            ASSERT_EQ(load_word(fake.page(kTo + page) + 8), page % 3 == 1 ? page : 0) << page;
        }
        ASSERT_EQ(load_word(fake.page(page)), 0U) << page;
    }
    fake.evict_all();
    for (std::uint64_t page = 0; page < kPages; ++page) {
        ASSERT_EQ(load_word(fake.page(kTo + page)), page % 8 == 3 ? 0 : stamp(page)) << page << ", from the store";
    }
}

TEST_P(Moving, StopsAtAPinnedPage) {
    if (GetParam().delivery == Delivery::sigsegv) GTEST_SKIP() << "nothing moves";
    FakePager fake{GetParam(), plain_config(GetParam()), 64, 64};
    for (std::uint64_t page = 0; page < 8; ++page) store_word(fake.page(page), stamp(page));
    fake.pager().pins().pin(fake.region(), {5, 1}, PinFor::writing);
    EXPECT_EQ(fake.pager().mover().move(fake.region(), {0, 8}, 32), 5U);
    fake.pager().unpin(fake.region(), {5, 1});
    for (std::uint64_t page = 0; page < 8; ++page) {
        EXPECT_EQ(load_word(fake.page(page < 5 ? page + 32 : page)), stamp(page));
    }
}

INSTANTIATE_TEST_SUITE_P(each_delivery, Moving,
                         ::testing::Values(Variant{Delivery::uffd_signal, Eviction::move},
                                           Variant{Delivery::uffd_signal, Eviction::copy},
                                           Variant{Delivery::uffd_threads, Eviction::move},
                                           Variant{Delivery::sigsegv, Eviction::guard}),
                         VariantName{});

}  // namespace
}  // namespace faultline::test
