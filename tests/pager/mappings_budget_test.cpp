// Trap 15, vm.max_map_count: pages that are shown and hidden singly must not use up the process's mappings, whatever
// pattern the program touches. Large on purpose: the kernel allows 65,530 mappings by default, and each test alternates
// over more pages.

#include "pager_fixture.hpp"
#include "support/process.hpp"

#include <cstdint>
#include <fstream>
#include <limits>
#include <sstream>

namespace faultline::test {
namespace {

std::size_t available_memory() {
    std::ifstream file{"/proc/meminfo"};
    for (std::string line; std::getline(file, line);) {
        if (line.rfind("MemAvailable:", 0) != 0) continue;
        std::istringstream rest{line.substr(line.find(':') + 1)};
        std::size_t kib = 0;
        rest >> kib;
        return kib << 10;
    }
    return 0;
}

std::size_t allowed_mappings() {
    std::size_t count = 0;
    std::ifstream{"/proc/sys/vm/max_map_count"} >> count;
    return count;
}

class MappingsBudget : public VariantTest {
protected:
    static constexpr std::size_t kPages = 200'000;
    static constexpr std::size_t kManyPages = 2 * kPages;  // three times the mappings allowed; takes almost a minute

    void SetUp() override {
        if (kSanitized) GTEST_SKIP() << "too many pages for a sanitizer";
#ifdef FAULTLINE_CHECKED
        GTEST_SKIP() << "so many pages take their time; the release build's answer is enough";
#endif
        if (available_memory() < std::size_t{3} << 30) GTEST_SKIP() << "less than 3 GiB of memory are available";
        VariantTest::SetUp();
    }

    /// Frames for all pages, so that only mappings can run short.
    static Config roomy(std::size_t pages = kPages) { return config_for(GetParam(), (pages + 1000) * kBasePageBytes); }

    static std::size_t pages_of(const Region& region) { return region.size() / kBasePageBytes; }
    static std::byte* page(const Region& region, std::size_t index) { return region.data() + index * kBasePageBytes; }

    /// Reads the number of mappings at intervals; each reading takes tens of milliseconds if there are many.
    void look_at_mappings(std::size_t step) {
        if (step % 20'000 != 0) return;
        EXPECT_LT(mappings(), allowed_mappings()) << "step " << step;
    }

    void write_every_second(Region& region) {
        for (std::size_t i = 0; i < pages_of(region); i += 2) {
            write_stamps(page(region, i), kBasePageBytes, stamp(i));
            look_at_mappings(i);
        }
    }
    void write_all(Region& region) {
        for (std::size_t i = 0; i < pages_of(region); ++i) {
            write_stamps(page(region, i), kBasePageBytes, stamp(i));
            look_at_mappings(i);
        }
    }
    void expect_stamps(const Region& region, std::size_t step) {
        for (std::size_t i = 0; i < pages_of(region); i += step) {
            ASSERT_TRUE(has_stamps(page(region, i), kBasePageBytes, stamp(i))) << "page " << i;
            look_at_mappings(i);
        }
    }
};

TEST_P(MappingsBudget, AlternatingPagesCanAllBeWritten) {
    const Watchdog watchdog{std::chrono::seconds{540}};  // a slow disk needs most of them
    Pager pager{roomy(kManyPages)};
    Region region = pager.reserve(kManyPages * kBasePageBytes);
    write_every_second(region);
    expect_stamps(region, 14);  // in all parts of the region; the smaller region below reads all of them back
    std::size_t wrong = 0;
    for (std::size_t i = 1; i < kManyPages; i += 2'002) wrong += load_word(page(region, i)) != 0 ? 1U : 0U;
    EXPECT_EQ(wrong, 0U);
}

TEST_P(MappingsBudget, AlternatingPagesCanAllBeRead) {
    const Watchdog watchdog;
    Pager pager{roomy()};
    Region region = pager.reserve(kPages * kBasePageBytes);
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < kPages; i += 2) {
        if (load_word(page(region, i)) != 0) ++wrong;
        look_at_mappings(i);
    }
    EXPECT_EQ(wrong, 0U);
}

TEST_P(MappingsBudget, AlternatingStoredPagesCanAllBeReadAndThenWritten) {
    const Watchdog watchdog;
    constexpr std::size_t kStored = kPages / 8 * 3;
    Config config = roomy();
    config.read_ahead = false;
    Pager pager{config};
    Region region = pager.reserve(kStored * kBasePageBytes);
    for (std::size_t i = 0; i < kStored; ++i) write_stamps(page(region, i), kBasePageBytes, stamp(i));
    region.advise(region.data(), region.size(), Advice::dontneed);
    for (std::size_t i = 0; i < kStored; i += 2) {
        ASSERT_TRUE(has_stamps(page(region, i), kBasePageBytes, stamp(i))) << "page " << i;
        look_at_mappings(i);
    }
    for (std::size_t i = 0; i < kStored; i += 4) {
        store_word(page(region, i) + 8, i + 1);
        look_at_mappings(i);
    }
    for (std::size_t i = 0; i < kStored; ++i) {
        ASSERT_TRUE(has_stamps(page(region, i), kBasePageBytes, stamp(i))) << "page " << i;
        ASSERT_EQ(load_word(page(region, i) + 8), i % 4 == 0 ? i + 1 : 0) << "page " << i;
    }
}

TEST_P(MappingsBudget, HolesCanBeDiscardedOutOfAResidentRegion) {
    const Watchdog watchdog;
    Pager pager{roomy()};
    Region region = pager.reserve(kPages / 2 * kBasePageBytes);
    write_all(region);
    for (std::size_t i = 1; i < pages_of(region); i += 2) {
        region.discard(page(region, i), kBasePageBytes);
        look_at_mappings(i - 1);
    }
    expect_stamps(region, 2);
    std::size_t wrong = 0;
    for (std::size_t i = 1; i < pages_of(region); i += 2) {
        if (load_word(page(region, i)) != 0) ++wrong;
    }
    EXPECT_EQ(wrong, 0U) << "pages that were discarded and are no zeros";
}

TEST_P(MappingsBudget, LimitCanBeLoweredOverAlternatingPages) {
    const Watchdog watchdog;
    constexpr std::size_t kLowered = kPages / 32 * kBasePageBytes;
    Pager pager{roomy()};
    Region region = pager.reserve(kPages / 4 * kBasePageBytes);
    write_every_second(region);
    pager.set_resident_limit(kLowered);
    EXPECT_LE(pager.stats().frames_used, kLowered);
    EXPECT_LT(mappings(), allowed_mappings());
    expect_stamps(region, 2);
}

TEST_P(MappingsBudget, EveryMappingIsFreedWithTheRegion) {
    const Watchdog watchdog;
    Pager pager{roomy()};
    const std::size_t before = mappings();
    Region region = pager.reserve(kPages * kBasePageBytes);
    for (std::size_t i = 0; i < kPages / 4; i += 2) store_word(page(region, i), i + 1);
    region.destroy();
    EXPECT_LE(mappings(), before + 8);
    Region again = pager.reserve(kPages * kBasePageBytes);
    for (std::size_t i = 0; i < kPages / 4; i += 2) store_word(page(again, i), i + 1);
    for (std::size_t i = 0; i < kPages / 4; i += 2) ASSERT_EQ(load_word(page(again, i)), i + 1);
}

INSTANTIATE_TEST_SUITE_P(deliveries, MappingsBudget,
                         ::testing::Values(Variant{Delivery::sigsegv, Eviction::guard},
                                           Variant{Delivery::sigsegv, Eviction::protect}),
                         VariantName{});

}  // namespace
}  // namespace faultline::test
