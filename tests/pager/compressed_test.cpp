// Pages that are compressed in memory before they go to the file: no contents are lost, and their memory has its own
// limit. The oracle is an array outside managed memory.

#include "pager_fixture.hpp"
#include "support/process.hpp"

#include <faultline/pager.hpp>

#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <random>
#include <vector>

namespace faultline::test {
namespace {

constexpr std::size_t kCompressedLimit = std::size_t{1} << 20;

class Compressed : public VariantTest {
protected:
    static constexpr std::size_t kPages = 2048;

    [[nodiscard]] static Config config() {
        Config config = config_for(GetParam(), std::size_t{1} << 20);
        config.compressed_limit = kCompressedLimit;
        return config;
    }
    [[nodiscard]] static RegionOptions options() { return {.page_size = GetParam().page_size}; }
};

/// Pages that compress to almost nothing, to half, and not at all.
void fill_page(std::byte* page, std::size_t bytes, std::mt19937_64& random) {
    const auto kind = random() % 4;
    const std::uint64_t word = random();
    for (std::size_t at = 0; at < bytes; at += sizeof word) {
        const bool fresh = kind == 3 || (kind == 2 && at % 32 == 0);
        store_word(page + at, kind == 0 ? 0 : fresh ? random() : word);
    }
}

TEST_P(Compressed, PagesComeBackUnchangedWithSeveralThreads) {
    constexpr unsigned kThreads = 4;
    Pager pager{config()};
    const std::size_t page_size = GetParam().page_size;
    const std::size_t pages = kPages * kBasePageBytes / page_size;
    Region region = pager.reserve(pages * page_size, options());
    std::vector<std::byte> oracle(region.size());
    const auto seed = std::random_device{}();
    std::printf("seed %u\n", seed);
    run_threads(kThreads, [&](unsigned thread) {
        std::mt19937_64 random{seed + thread};
        for (int i = 0; i < 3000 && !HasFailure(); ++i) {
            const std::size_t page = random() % (pages / kThreads) * kThreads + thread;
            std::byte* const here = region.data() + page * page_size;
            std::byte* const expected = oracle.data() + page * page_size;
            ASSERT_EQ(std::memcmp(here, expected, page_size), 0) << "page " << page;
            if (random() % 16 == 0) {
                region.discard(here, page_size);
                std::memset(expected, 0, page_size);
            } else if (random() % 2 == 0) {
                fill_page(expected, page_size, random);
                std::memcpy(here, expected, page_size);
            }
        }
    });
    EXPECT_EQ(std::memcmp(region.data(), oracle.data(), oracle.size()), 0);
    const PagerStats stats = pager.stats();
    EXPECT_GT(stats.hard_faults, 0U);
    EXPECT_GT(stats.compressed_used, 0U);
    EXPECT_LE(stats.compressed_used, kCompressedLimit);
    EXPECT_LE(stats.frames_used, stats.resident_limit);
}

TEST_P(Compressed, PagesThatAreOnlyReadComeBackFromMemoryOnceTheFileHasThem) {
    if (kThreadSanitized) GTEST_SKIP() << "ThreadSanitizer lets no child of a process with threads start any";
    Config fork_first = config();
    fork_first.fork = ForkPolicy::inherit;  // a fork writes all compressed pages to the file
    Pager pager{fork_first};
    Region region = pager.reserve(kPages * kBasePageBytes, options());
    for (std::size_t at = 0; at < region.size(); at += kBasePageBytes) store_word(region.data() + at, at + 3);
    region.advise(region.data(), region.size(), Advice::dontneed);  // a child would keep resident pages
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) ::_exit(0);
    EXPECT_EQ(::waitpid(child, nullptr, 0), child);
    ASSERT_EQ(pager.stats().compressed_used, 0U);
    const std::uint64_t bytes_written = pager.stats().bytes_written;

    for (int round = 0; round < 3; ++round) {
        for (std::size_t at = 0; at < region.size(); at += kBasePageBytes) {
            ASSERT_EQ(load_word(region.data() + at), at + 3) << "round " << round;
        }
    }
    EXPECT_GT(pager.stats().compressed_used, 0U);
    EXPECT_EQ(pager.stats().bytes_written, bytes_written) << "copies are not written again";
}

TEST_P(Compressed, APageThatIsWrittenToAgainKeepsNoCompressedMemory) {
    if (GetParam().page_size != kBasePageBytes) GTEST_SKIP() << "larger pages keep theirs";
    Pager pager{config()};
    constexpr std::size_t kFew = 100;
    Region region = pager.reserve(kFew * kBasePageBytes, options());
    for (std::uint64_t round = 1; round < 5; ++round) {
        for (std::size_t page = 0; page < kFew; ++page) {
            std::byte* const here = region.data() + page * kBasePageBytes;
            if (round > 2) {
                ASSERT_EQ(load_word(here), (round - 1) << 32 | page);
            }  // round 2 faults by the write
            store_word(here, round << 32 | page);
        }
        EXPECT_LE(pager.stats().compressed_used, std::size_t{64} << 10) << "the segment that is open, at most";
        region.advise(region.data(), region.size(), Advice::dontneed);
        EXPECT_GT(pager.stats().compressed_used, 0U) << "round " << round;
    }
    for (std::size_t page = 0; page < kFew; ++page) {
        ASSERT_EQ(load_word(region.data() + page * kBasePageBytes), std::uint64_t{4} << 32 | page);
    }
}

TEST_P(Compressed, MemoryIsFreedWithTheRegion) {
    Pager pager{config()};
    {
        Region region = pager.reserve(kPages * kBasePageBytes, options());
        for (std::size_t at = 0; at < region.size(); at += kBasePageBytes) store_word(region.data() + at, at + 1);
        region.advise(region.data(), region.size(), Advice::dontneed);
        EXPECT_GT(pager.stats().compressed_used, 0U);
        for (std::size_t at = 0; at < region.size(); at += kBasePageBytes) {
            ASSERT_EQ(load_word(region.data() + at), at + 1);
        }
    }
    EXPECT_LE(pager.stats().compressed_used, std::size_t{64} << 10) << "the segment that is open, at most";
}

TEST_P(Compressed, ChildOfForkInheritsCompressedPages) {
    if (kThreadSanitized) GTEST_SKIP() << "ThreadSanitizer lets no child of a process with threads start any";
    Config inheriting = config();
    inheriting.fork = ForkPolicy::inherit;
    Pager pager{inheriting};
    Region region = pager.reserve(kPages * kBasePageBytes, options());
    for (std::size_t at = 0; at < region.size(); at += kBasePageBytes) store_word(region.data() + at, at + 7);
    const auto wrong = [&](std::size_t difference) {
        int count = 0;
        for (std::size_t at = 0; at < region.size(); at += kBasePageBytes) {
            count += load_word(region.data() + at) != at + difference ? 1 : 0;
        }
        return count;
    };
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        int bad = wrong(7);
        for (std::size_t at = 0; at < region.size(); at += kBasePageBytes) store_word(region.data() + at, at + 8);
        bad += wrong(8);
        ::_exit(bad == 0 ? 0 : 1);
    }
    for (std::size_t at = 0; at < region.size(); at += kBasePageBytes) store_word(region.data() + at, at + 9);
    EXPECT_EQ(wrong(9), 0);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(wrong(9), 0);
}

TEST(CompressedLimit, OutOfRangeIsRefused) {
    Config config;
    config.compressed_limit = 1;
    expect_refused([&] { const Pager pager{config}; }, EINVAL, "compressed_limit");
}

std::vector<Variant> compressed_variants() {
    std::vector<Variant> all = deliveries_and_evictions();
    all.push_back({Delivery::uffd_signal, Eviction::move, Replacement::second_chance, std::size_t{64} << 10});
    return all;
}
INSTANTIATE_TEST_SUITE_P(matrix, Compressed, ::testing::ValuesIn(compressed_variants()), VariantName{});

}  // namespace
}  // namespace faultline::test
