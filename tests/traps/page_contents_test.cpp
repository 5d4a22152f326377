// Traps 10 and 16: the contents of a page after the kernel has moved or filled it. A write-protect bit that is lost on
// the move from staging hides the next write. A page that is mapped before it is full reads as zeros in part.

#include "traps/trap_support.hpp"

#include <atomic>
#include <optional>

namespace faultline::test {
namespace {

// ---- 10 the write-protect bit is lost on a move

constexpr std::size_t kFrames = 1024;  // enough for a staging zone
constexpr std::size_t kManyPages = 2 * kFrames;

class Trap10 : public TrapMatrix {
protected:
    [[nodiscard]] Config config() const {
        Config config = config_with(kFrames);
        config.staging_percent = 3;
        config.background_evictor = false;  // only the test evicts
        config.read_ahead = false;
        return config;
    }

    /// Writes all pages, so that some of the last ones are staged. Then discards the first pages, which are still
    /// resident, so that later soft faults have free frames and evict no page.
    static void fill_and_make_room(Region& region) {
        for (std::size_t page = 0; page < kManyPages; ++page) write_word(at(region, page), word_of_unit(page));
        const std::size_t room = kFrames / 4;
        region.discard(at(region, 0), room * kBasePageBytes);
    }

    static std::byte* at(Region& region, std::size_t page) { return region.data() + page * kBasePageBytes; }

    /// Waits until `figure` is `value`: handler threads update the counters after they wake the faulting thread.
    static void await(const Region& region, std::uint64_t RegionStats::*figure, std::uint64_t value) {
        while (region.stats().*figure < value) std::this_thread::yield();
        EXPECT_EQ(region.stats().*figure, value);
    }

    /// Returns a page that is in the staging area.
    static std::optional<std::size_t> staged_page(const Region& region) {
        std::vector<ResidencyCell> cells(kManyPages);
        region.residency(cells);
        for (std::size_t page = 0; page < kManyPages; ++page) {
            if (cells[page].staged > 0) return page;
        }
        return std::nullopt;
    }
};

constexpr int kRounds = 20;

TEST_P(Trap10, CleanPageReadBackFromStagingStaysClean) {
    FAULTLINE_PAGER_OR_SKIP(pager, config());
    Region region = pager.reserve(kManyPages * kBasePageBytes);
    fill_and_make_room(region);
    for (int round = 0; round < kRounds; ++round) {
        const std::optional<std::size_t> page = staged_page(region);
        ASSERT_TRUE(page) << "no page is staged";
        const RegionStats before = region.stats();
        EXPECT_EQ(read_word(at(region, *page)), word_of_unit(*page));
        await(region, &RegionStats::soft_faults, before.soft_faults + 1);
        region.advise(at(region, *page), kBasePageBytes, Advice::dontneed);
        const RegionStats after = region.stats();
        EXPECT_EQ(after.bytes_written, before.bytes_written) << "clean page " << *page << " was written";
        EXPECT_EQ(after.clean_evictions, before.clean_evictions + 1);
        EXPECT_EQ(read_word(at(region, *page)), word_of_unit(*page));
    }
}

TEST_P(Trap10, WriteAfterAReadFromStagingIsNoticed) {
    FAULTLINE_PAGER_OR_SKIP(pager, config());
    Region region = pager.reserve(kManyPages * kBasePageBytes);
    fill_and_make_room(region);
    for (int round = 0; round < kRounds; ++round) {
        const std::optional<std::size_t> page = staged_page(region);
        ASSERT_TRUE(page) << "no page is staged";
        const RegionStats before = region.stats();
        EXPECT_EQ(read_word(at(region, *page)), word_of_unit(*page));
        await(region, &RegionStats::soft_faults, before.soft_faults + 1);
        write_word(at(region, *page), ~word_of_unit(*page));
        await(region, &RegionStats::write_faults, before.write_faults + 1);
        region.advise(at(region, *page), kBasePageBytes, Advice::dontneed);
        EXPECT_EQ(region.stats().bytes_written, before.bytes_written + kBasePageBytes);
        EXPECT_EQ(read_word(at(region, *page)), ~word_of_unit(*page)) << "the old contents came back";
    }
}

TEST_P(Trap10, WriteToAStagedPageIsNoticed) {
    FAULTLINE_PAGER_OR_SKIP(pager, config());
    Region region = pager.reserve(kManyPages * kBasePageBytes);
    fill_and_make_room(region);
    for (int round = 0; round < kRounds; ++round) {
        const std::optional<std::size_t> page = staged_page(region);
        ASSERT_TRUE(page) << "no page is staged";
        const RegionStats before = region.stats();
        write_word(at(region, *page), ~word_of_unit(*page));
        await(region, &RegionStats::soft_faults, before.soft_faults + 1);
        region.advise(at(region, *page), kBasePageBytes, Advice::dontneed);
        EXPECT_EQ(region.stats().bytes_written, before.bytes_written + kBasePageBytes);
        EXPECT_EQ(read_word(at(region, *page)), ~word_of_unit(*page)) << "the old contents came back";
    }
}

INSTANTIATE_TEST_SUITE_P(Matrix, Trap10, testing::ValuesIn(deliveries_and_evictions()), VariantName{});

// ---- 16 a half-filled page is visible

class Trap16 : public TrapMatrix {};

TEST_P(Trap16, NoThreadReadsAHalfFilledPage) {
    constexpr unsigned kReaders = 4;
    constexpr int kLooks = 1500;
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(12));
    Region region = pager.reserve(32 * GetParam().page_size, options());
    fill_with_units(region);
    std::atomic<std::size_t> wrong{0};
    std::atomic<unsigned> reading{kReaders};
    run_threads(kReaders + 1, [&](unsigned index) {
        Random random{seed() + index};
        if (index < kReaders) {
            for (int look = 0; look < kLooks; ++look) wrong += wrong_words(region, random.below(units_of(region)));
            --reading;
            return;
        }
        while (reading.load() > 0) {
            const std::uint64_t page = random.below(pages_of(region));
            region.advise(region.data() + page * region.page_size(), region.page_size(), Advice::dontneed);
        }
    });
    EXPECT_EQ(wrong.load(), 0U);
    EXPECT_GT(region.stats().hard_faults, 100U);
    EXPECT_EQ(region.stats().failed_faults, 0U);
}

INSTANTIATE_TEST_SUITE_P(Matrix, Trap16, testing::ValuesIn(variants_with({4096, 65536})), VariantName{});

}  // namespace
}  // namespace faultline::test
