// The resident limit is hard: the kernel's own count of the process's memory proves it, for any number of threads.

#include "pager_fixture.hpp"
#include "support/process.hpp"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

namespace faultline::test {
namespace {

class Limit : public VariantTest {
protected:
    // The pager's memory besides pages: 2 MiB of read buffers, staging batches, tables, and the threads' stacks.
    static constexpr std::size_t kFixedCost = std::size_t{8} << 20;
    static constexpr std::size_t kLimit = std::size_t{8} << 20;

    /// Writes and reads eight times the limit. Returns the maximum growth of the process.
    static std::size_t peak_growth(const Variant& variant, unsigned threads) {
        Pager pager{config_for(variant, kLimit)};
        Region region = pager.reserve(8 * kLimit, {variant.page_size});
        const std::size_t page = region.page_size();
        const std::size_t pages = region.size() / page;
        reset_peak_resident_bytes();
        const std::size_t before = peak_resident_bytes();
        run_threads(threads, [&](unsigned thread) {
            for (std::size_t i = thread; i < pages; i += threads) {
                write_stamps(region.data() + i * page, page, stamp(i));
            }
            std::mt19937_64 random{thread};
            for (std::size_t i = 0; i < pages / 4 / threads; ++i) {
                const std::size_t wanted = random() % (pages / threads) * threads + thread;
                EXPECT_TRUE(has_stamps(region.data() + wanted * page, page, stamp(wanted)));
            }
        });
        EXPECT_LE(pager.stats().frames_used, kLimit);
        return peak_resident_bytes() - before;
    }
};

TEST_P(Limit, OneThreadCannotMakeTheProcessExceedIt) {
    if (kSanitized) GTEST_SKIP() << "the sanitizer's own memory is in the figure";
    const std::size_t growth = peak_growth(GetParam(), 1);
    EXPECT_GE(growth, kLimit / 2) << "the figure measures nothing";
    EXPECT_LE(growth, kLimit + kFixedCost);
}

TEST_P(Limit, EightThreadsCannotMakeTheProcessExceedIt) {
    if (kSanitized) GTEST_SKIP() << "the sanitizer's own memory is in the figure";
    const std::size_t growth = peak_growth(GetParam(), 8);
    EXPECT_GE(growth, kLimit / 2) << "the figure measures nothing";
    EXPECT_LE(growth, kLimit + kFixedCost);
}

TEST_P(Limit, LoweringItFreesTheMemoryBeforeTheCallReturns) {
    if (kSanitized) GTEST_SKIP() << "the sanitizer's own memory is in the figure";
    constexpr std::size_t kLarge = std::size_t{64} << 20;
    Pager pager{config_for(GetParam(), kLarge + kLimit)};
    Region region = pager.reserve(kLarge, {GetParam().page_size});
    const std::size_t before = resident_bytes();
    std::memset(region.data(), 0x5a, region.size());
    EXPECT_GE(resident_bytes(), before + kLarge - kFixedCost);
    pager.set_resident_limit(kLimit);
    EXPECT_LE(resident_bytes(), before + kLimit + kFixedCost);
    EXPECT_EQ(pager.resident_limit(), kLimit);
    EXPECT_EQ(region.data()[region.size() - 1], std::byte{0x5a});
}

TEST_P(Limit, PagesThatFitAllStayResident) {
    const std::size_t page = GetParam().page_size;
    const std::size_t fits = kLimit / page - 1;  // one is reserved for copies
    Pager pager{config_for(GetParam(), kLimit)};
    Region region = pager.reserve(fits * page, {page});
    for (int pass = 0; pass < 3; ++pass) {
        for (std::size_t i = 0; i < fits; ++i) store_word(region.data() + i * page, i + 1);
    }
    EXPECT_EQ(pager.stats().evictions, 0U);

    // As many pages are evicted as do not fit, and as many frames again are kept free for them; not a part of the
    // limit.
    constexpr std::size_t kTooMany = 4;
    constexpr std::size_t kAtOnce = 8;  // how many pages a thread evicts that finds no free frame
    Region more = pager.reserve(kTooMany * page, {page});
    for (int pass = 0; pass < 3; ++pass) {
        for (std::size_t i = 0; i < kTooMany; ++i) store_word(more.data() + i * page, i + 1);
        for (std::size_t i = 0; i < fits; ++i) ASSERT_EQ(load_word(region.data() + i * page), i + 1);
    }
    EXPECT_GE(pager.stats().frames_used + (2 * kTooMany + kAtOnce) * page, fits * page);
    for (std::size_t i = 0; i < kTooMany; ++i) EXPECT_EQ(load_word(more.data() + i * page), i + 1);
}

TEST_P(Limit, TooSmallALimitIsRefusedAndChangesNothing) {
    const std::size_t page_size = GetParam().page_size;
    const std::size_t least = Pager::kMinimumPages * page_size;
    expect_refused([&] { Pager pager{config_for(GetParam(), Pager::kMinimumPages * kBasePageBytes - 1)}; }, EINVAL,
                   "resident limit");
    Pager pager{config_for(GetParam(), least)};
    Region region = pager.reserve(4 * page_size, {page_size});
    expect_refused([&] { pager.set_resident_limit(least - 1); }, EINVAL, "resident limit");
    expect_refused([&] { pager.set_resident_limit(0); }, EINVAL, "resident limit");
    expect_refused([&] { pager.set_resident_limit(SIZE_MAX); }, EINVAL, "resident limit");
    EXPECT_EQ(pager.resident_limit(), least);
    if (page_size < kLargestPageBytes) {
        expect_refused([&] { static_cast<void>(pager.reserve(1, {page_size * 2})); }, EINVAL, "resident limit");
    }
    store_word(region.data(), 1);
    EXPECT_EQ(load_word(region.data()), 1U);
}

TEST_P(Limit, PagesOfDifferentSizesShareIt) {
    constexpr std::size_t kBytes = Pager::kMinimumPages * kLargestPageBytes;
    Pager pager{config_for(GetParam(), kBytes)};
    Region small = pager.reserve(kBytes, {kBasePageBytes});
    Region middle = pager.reserve(kBytes, {std::size_t{64} << 10});
    Region large = pager.reserve(kBytes, {kLargestPageBytes});
    for (std::size_t at = 0; at < kBytes; at += kBasePageBytes) {
        store_word(small.data() + at, stamp(at, 1));
        store_word(middle.data() + at, stamp(at, 2));
        store_word(large.data() + at, stamp(at, 3));
    }
    EXPECT_LE(pager.stats().frames_used, kBytes);
    for (std::size_t at = 0; at < kBytes; at += kBasePageBytes) {
        ASSERT_EQ(load_word(small.data() + at), stamp(at, 1)) << at;
        ASSERT_EQ(load_word(middle.data() + at), stamp(at, 2)) << at;
        ASSERT_EQ(load_word(large.data() + at), stamp(at, 3)) << at;
    }
}

INSTANTIATE_TEST_SUITE_P(matrix, Limit, ::testing::ValuesIn([] {
                             std::vector<Variant> all = deliveries_and_evictions();
                             const auto large = deliveries_and_evictions(Replacement::fifo, std::size_t{64} << 10);
                             all.insert(all.end(), large.begin(), large.end());
                             return all;
                         }()),
                         VariantName{});

}  // namespace
}  // namespace faultline::test
