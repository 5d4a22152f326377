// A change of protection splits the kernel's mapping. Pages on both sides are still read together, and concurrent
// writes are kept.

#include "fake_store.hpp"
#include "pager_fixture.hpp"

#include <gtest/gtest.h>

namespace faultline::test {
namespace {

constexpr std::uint64_t kReadOnly = 20;

class SplitMapping : public VariantTest {
protected:
    static constexpr std::size_t kPages = 64;

    /// All pages are in the store, and one of them is read-only.
    void SetUp() override {
        VariantTest::SetUp();
        if (IsSkipped()) return;
        Config config = plain_config(GetParam());
        config.read_ahead = true;
        fake_ = std::make_unique<FakePager>(GetParam(), config, kPages, 2 * kPages);
        for (std::uint64_t page = 0; page < kPages; ++page) store_word(fake_->page(page), stamp(page));
        fake_->evict_all();
        fake_->pager().protector().protect(fake_->region(), {kReadOnly, 1}, Access::read);
    }

    /// No page was read twice, which would happen if a read of several pages could not be mapped.
    void expect_each_page_read_once() { EXPECT_EQ(fake_->settled_stats().bytes_read, kPages * GetParam().page_size); }

    std::unique_ptr<FakePager> fake_;
};

TEST_P(SplitMapping, IsCrossedByReadAhead) {
    for (std::uint64_t page = 0; page < kPages; ++page) EXPECT_EQ(load_word(fake_->page(page)), stamp(page));
    expect_each_page_read_once();
}

TEST_P(SplitMapping, IsCrossedByReadAheadOfWrites) {
    for (std::uint64_t page = 0; page < kPages; ++page) {
        if (page != kReadOnly) store_word(fake_->page(page) + 8, stamp(page, 1));
    }
    for (std::uint64_t page = 0; page < kPages; ++page) {
        EXPECT_EQ(load_word(fake_->page(page)), stamp(page));
        EXPECT_EQ(load_word(fake_->page(page) + 8), page == kReadOnly ? 0 : stamp(page, 1));
    }
    expect_each_page_read_once();
}

TEST_P(SplitMapping, IsCrossedByAdvice) {
    fake_->pager().read_ahead().prefetch(fake_->region(), {0, kPages});
    EXPECT_EQ(fake_->settled_stats().pages_read_ahead, kPages);
    for (std::uint64_t page = 0; page < kPages; ++page) EXPECT_EQ(load_word(fake_->page(page)), stamp(page));
    expect_each_page_read_once();
}

TEST_P(SplitMapping, IsCrossedByEviction) {
    fake_->pager().read_ahead().prefetch(fake_->region(), {0, kPages});
    for (std::uint64_t page = 0; page < kPages; ++page) {
        if (page != kReadOnly) store_word(fake_->page(page), stamp(page, 2));
    }
    fake_->evict_all();
    EXPECT_EQ(fake_->settled_stats().resident_bytes, 0U);
    for (std::uint64_t page = 0; page < kPages; ++page) {
        EXPECT_EQ(load_word(fake_->page(page)), stamp(page, page == kReadOnly ? 0 : 2));
    }
}

INSTANTIATE_TEST_SUITE_P(matrix, SplitMapping, ::testing::ValuesIn(deliveries_and_evictions()), VariantName{});

}  // namespace
}  // namespace faultline::test
