// Thousands of regions, regions larger than memory, and thousands of pagers made and destroyed: all are cheap, and
// leave nothing behind.

#include "pager_fixture.hpp"
#include "support/process.hpp"
#include "thread_state.hpp"

#include <optional>
#include <vector>

namespace faultline::test {
namespace {

class Many : public VariantTest {
protected:
    /// Checks that the process's memory, descriptors and mappings are the same before and after many calls of `live`.
    template <typename Live>
    static void expect_all_given_back(int lives, Live live) {
        for (int i = 0; i < 20; ++i) live();  // the allocator and the process's own tables grow here
        wait_for_threads(std::nullopt);
        const std::size_t threads = thread_count();
        const std::size_t descriptors = open_descriptors();
        const std::size_t mapped = mappings();
        const std::size_t resident = resident_bytes();
        for (int i = 0; i < lives; ++i) live();
        wait_for_threads(threads);
        EXPECT_EQ(thread_count(), threads);
        EXPECT_EQ(open_descriptors(), descriptors);
        if (!kSanitized) {  // a sanitizer's run time keeps memory for ended threads
            EXPECT_LE(mappings(), mapped + 8);
            EXPECT_LE(resident_bytes(), resident + (std::size_t{2} << 20));
        }
    }

    /// The kernel lists a thread for a short time after it was joined.
    static void wait_for_threads(std::optional<std::size_t> count) {
        for (int look = 0; look < 100'000 && thread_count() > count.value_or(1); ++look) std::this_thread::yield();
    }
};

TEST_P(Many, RegionsShareOneBudgetAndKeepTheirContents) {
    const Watchdog watchdog;
    constexpr std::size_t kRegions = 2000;
    constexpr std::size_t kPages = 3;
    Pager pager{config_for(GetParam(), 400 * kBasePageBytes)};
    std::vector<Region> regions;
    for (std::size_t i = 0; i < kRegions; ++i) {
        regions.push_back(pager.reserve(kPages * kBasePageBytes));
        for (std::size_t page = 0; page < kPages; ++page) {
            write_stamps(regions[i].data() + page * kBasePageBytes, kBasePageBytes, stamp(i * kPages + page));
        }
    }
    EXPECT_LE(pager.stats().frames_used, pager.resident_limit());
    for (std::size_t i = 0; i < kRegions; i += 2) regions[i].destroy();
    for (std::size_t i = 1; i < kRegions; i += 2) {
        for (std::size_t page = 0; page < kPages; ++page) {
            ASSERT_TRUE(has_stamps(regions[i].data() + page * kBasePageBytes, kBasePageBytes, stamp(i * kPages + page)))
                << "region " << i;
        }
    }
}

TEST_P(Many, TerabytesCanBeReservedAndCostOnlyTouchedPages) {
    constexpr std::size_t kHuge = std::size_t{1} << 40;
    constexpr std::size_t kTouched = 500;
    constexpr std::size_t kFixedCost = std::size_t{4} << 20;
    Pager pager{config_for(GetParam(), std::size_t{1} << 20)};
    const std::size_t before = resident_bytes();
    Region region = pager.reserve(kHuge);
    if (!kSanitized) {
        EXPECT_LE(resident_bytes(), before + kFixedCost);
    }
    const std::size_t step = kHuge / kTouched / kBasePageBytes * kBasePageBytes;
    for (std::size_t i = 0; i < kTouched; ++i) write_stamps(region.data() + i * step, kBasePageBytes, stamp(i));
    for (std::size_t i = 0; i < kTouched; ++i) {
        ASSERT_TRUE(has_stamps(region.data() + i * step, kBasePageBytes, stamp(i))) << i;
    }
    if (!kSanitized) {
        // For each of these pages, which are far apart: one page of the page table, and one of its summary.
        EXPECT_LE(resident_bytes(), before + pager.resident_limit() + kTouched * 2 * kBasePageBytes + kFixedCost);
    }
    ResidencyCell all;
    region.residency({&all, 1});
    EXPECT_EQ(all.untouched, kHuge - kTouched * kBasePageBytes);
    region.discard(region.data(), region.size());
    EXPECT_EQ(load_word(region.data() + step), 0U);
    region.destroy();
    if (!kSanitized) {
        EXPECT_LE(resident_bytes(), before + kFixedCost);
    }
}

TEST_P(Many, LivesOfARegionLeaveNothingBehind) {
    const Watchdog watchdog;
    Config config = config_for(GetParam(), 32 * kBasePageBytes);
    Pager pager{config};
    expect_all_given_back(1000, [&] {
        Region region = pager.reserve(64 * kBasePageBytes);
        for (std::size_t page = 0; page < 64; page += 2) store_word(region.data() + page * kBasePageBytes, page + 1);
        ASSERT_EQ(load_word(region.data()), 1U);
    });
    EXPECT_EQ(pager.stats().swapped_bytes, 0U);
}

TEST_P(Many, LivesOfAPagerLeaveNothingBehind) {
    const Watchdog watchdog;
    expect_all_given_back(1000, [&] {
        Pager pager{config_for(GetParam(), 8 * kBasePageBytes)};
        Region region = pager.reserve(16 * kBasePageBytes);
        for (std::size_t page = 0; page < 16; page += 3) store_word(region.data() + page * kBasePageBytes, page + 1);
        ASSERT_EQ(load_word(region.data()), 1U);
    });
}

INSTANTIATE_TEST_SUITE_P(deliveries, Many,
                         ::testing::Values(Variant{Delivery::uffd_signal, Eviction::move},
                                           Variant{Delivery::uffd_threads, Eviction::move},
                                           Variant{Delivery::uffd_signal, Eviction::copy}),
                         VariantName{});

}  // namespace
}  // namespace faultline::test
