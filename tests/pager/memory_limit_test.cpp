// Config::memory_limit: frames, compressed pages and records together stay within one limit at every look, whatever the
// pages hold, and the share of compressed pages follows what they hold. The oracle is a version for each page, outside
// of managed memory.

#include "pager_fixture.hpp"
#include "support/process.hpp"

#include <faultline/pager.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <random>
#include <vector>

namespace faultline::test {
namespace {

constexpr std::size_t kMemory = std::size_t{16} << 20;

enum class Contents : std::uint8_t { shrinks, random };

class MemoryLimit : public VariantTest {
protected:
    static constexpr std::size_t kPages = 8192;  // twice the limit
    static constexpr unsigned kThreads = 3;

    [[nodiscard]] static Config config(std::size_t memory = kMemory) {
        Config config = config_for(GetParam(), 0);
        config.resident_limit = Config{}.resident_limit;
        config.memory_limit = memory;
        return config;
    }

    /// Fills a page so that its bytes follow from its number, version and kind.
    static void fill(std::byte* page, std::size_t number, std::uint32_t version, Contents contents) {
        std::mt19937_64 random{stamp(number, version)};
        std::uint64_t word = random();
        for (std::size_t at = 0; at < kBasePageBytes; at += sizeof word) {
            if (contents == Contents::random || at % 64 == 0) word = random();
            store_word(page + at, word);
        }
    }
    [[nodiscard]] static bool holds(const std::byte* page, std::size_t number, std::uint32_t version,
                                    Contents contents) {
        std::vector<std::byte> expected(kBasePageBytes);
        fill(expected.data(), number, version, contents);
        return std::memcmp(page, expected.data(), kBasePageBytes) == 0;
    }

    static void expect_within(const PagerStats& stats, std::size_t memory) {
        EXPECT_EQ(stats.memory_limit, memory);
        EXPECT_LE(stats.frames_used + stats.compressed_used + stats.records_used, memory)
            << stats.frames_used << " of frames, " << stats.compressed_used << " compressed, " << stats.records_used
            << " of records";
    }

    /// Accesses to one region by several threads, while the test looks at the sum again and again.
    class Storm {
    public:
        explicit Storm(Pager& pager, std::uint64_t seed)
            : pager_{pager}, region_{pager.reserve(kPages * kBasePageBytes)}, known_(kPages), seed_{seed} {}

        /// Reads and writes random pages of the first `pages`; what is written has `contents`.
        void run(Contents contents, std::size_t pages, int accesses, unsigned threads = kThreads) {
            std::atomic<bool> done{false};
            std::thread watcher{[&] {
                while (!done.load() && !HasFailure()) expect_within(pager_.stats(), kMemory);
            }};
            run_threads(threads, [&](unsigned thread) {
                std::mt19937_64 random{seed_ + thread};
                for (int i = 0; i < accesses && !HasFailure(); ++i) {
                    const std::size_t number = random() % (pages / threads) * threads + thread;
                    std::byte* const page = region_.data() + number * kBasePageBytes;
                    Known& known = known_[number];
                    ASSERT_TRUE(known.version == 0 ? all_zeros(page, kBasePageBytes)
                                                   : holds(page, number, known.version, known.contents))
                        << "page " << number;
                    if (random() % 2 == 0 || known.contents != contents) {
                        known = {known.version + 1, contents};
                        fill(page, number, known.version, contents);
                    }
                }
            });
            done.store(true);
            watcher.join();
            ++seed_;
        }

        void expect_contents() {
            for (std::size_t number = 0; number < kPages; ++number) {
                const Known& known = known_[number];
                const std::byte* const page = region_.data() + number * kBasePageBytes;
                ASSERT_TRUE(known.version == 0 ? all_zeros(page, kBasePageBytes)
                                               : holds(page, number, known.version, known.contents))
                    << "page " << number;
            }
        }

    private:
        struct Known {
            std::uint32_t version = 0;
            Contents contents = Contents::shrinks;
        };

        Pager& pager_;
        Region region_;
        std::vector<Known> known_;
        std::uint64_t seed_;
    };
};

TEST_P(MemoryLimit, HoldsAtEveryLookWhileContentsChange) {
    const auto seed = std::random_device{}();
    std::printf("seed %u\n", seed);
    Pager pager{config()};
    Storm storm{pager, seed};
    for (const Contents contents : {Contents::shrinks, Contents::random, Contents::shrinks}) {
        storm.run(contents, kPages, 4000);
        const PagerStats stats = pager.stats();
        expect_within(stats, kMemory);
        std::printf("frames %zu KiB, compressed %zu of %zu KiB, records %zu KiB\n", stats.frames_used >> 10,
                    stats.compressed_used >> 10, stats.compressed_limit >> 10, stats.records_used >> 10);
    }
    storm.expect_contents();
    expect_within(pager.stats(), kMemory);
}

TEST_P(MemoryLimit, PagesThatDoNotShrinkLeaveTheMemoryToFrames) {
    Pager pager{config()};
    Storm storm{pager, 1};
    storm.run(Contents::random, kPages, 3000);
    const PagerStats stats = pager.stats();
    EXPECT_LE(stats.compressed_limit, kMemory / 64);
    EXPECT_GE(stats.frames_used, kMemory / 8 * 7);
}

TEST_P(MemoryLimit, HoldsWhenManyThreadsNeedTheirFirstBuffersOnceAllFramesAreInUse) {
    constexpr unsigned kMany = 24;
    const auto seed = std::random_device{}();
    std::printf("seed %u\n", seed);
    Pager pager{config()};
    Storm storm{pager, seed};
    storm.run(Contents::shrinks, kPages, 6000, 1);
    storm.run(Contents::random, kPages, 6000, 1);
    const std::size_t records = pager.stats().records_used;
    storm.run(Contents::shrinks, kPages, 400, kMany);
    storm.expect_contents();
    expect_within(pager.stats(), kMemory);
    EXPECT_GT(pager.stats().records_used, records) << "no thread used a new buffer: the test proves nothing";
    EXPECT_LE(pager.stats().records_used, records + kMemory / 8 + kMemory / 64);
}

TEST_P(MemoryLimit, PageWordsOfScatteredPagesCount) {
    Pager pager{config()};
    const std::size_t stride = std::size_t{2} << 20;  // each page has a page of page words to itself
    constexpr std::size_t kTouched = 2048;
    Region region = pager.reserve(kTouched * stride);
    for (std::size_t i = 0; i < kTouched; ++i) {
        store_word(region.data() + i * stride, i + 1);
        if (i % 64 == 0) expect_within(pager.stats(), kMemory);
    }
    const PagerStats stats = pager.stats();
    expect_within(stats, kMemory);
    EXPECT_GE(stats.records_used, kTouched * kBasePageBytes) << "a page of page words for each page";
    for (std::size_t i = 0; i < kTouched; ++i) ASSERT_EQ(load_word(region.data() + i * stride), i + 1);
}

TEST_P(MemoryLimit, PinsAreRefusedBeforeTheyAndTheRecordsHoldAllFrames) {
    Pager pager{config()};
    Region region = pager.reserve(kPages * kBasePageBytes);
    std::vector<Pin> pins;
    const auto pin_next = [&] {
        pins.push_back(region.pin(region.data() + pins.size() * kBasePageBytes, kBasePageBytes, PinFor::writing));
    };
    expect_refused(
        [&] {
            while (pins.size() < kPages) pin_next();
        },
        ENOMEM, "pinning");
    EXPECT_GE(pins.size(), kMemory / 2 / kBasePageBytes);
    for (std::size_t i = 0; i < kPages; ++i) store_word(region.data() + i * kBasePageBytes, i + 1);
    for (std::size_t i = 0; i < kPages; ++i) ASSERT_EQ(load_word(region.data() + i * kBasePageBytes), i + 1);
    expect_within(pager.stats(), kMemory);
}

TEST_P(MemoryLimit, RecordsThatGrowLeavePinnedPagesAndOthersTheirFrames) {
    Pager pager{config()};
    Region pinned = pager.reserve(kMemory);
    const Pin held = pinned.pin(pinned.data(), kMemory / 4 * 3, PinFor::writing);
    const std::size_t stride = std::size_t{2} << 20;  // each page has a page of page words to itself
    constexpr std::size_t kTouched = kMemory / 2 / kBasePageBytes;
    Region region = pager.reserve(kTouched * stride);
    for (std::size_t i = 0; i < kTouched; ++i) store_word(region.data() + i * stride, i + 1);
    for (std::size_t i = 0; i < kTouched; ++i) ASSERT_EQ(load_word(region.data() + i * stride), i + 1);
}

TEST_P(MemoryLimit, ChangesWhileTheProgramRuns) {
    Pager pager{config()};
    Storm storm{pager, 2};
    storm.run(Contents::shrinks, kPages, 4000);
    constexpr std::size_t kLess = kMemory / 2;
    pager.set_memory_limit(kLess);
    EXPECT_EQ(pager.memory_limit(), kLess);
    expect_within(pager.stats(), kLess);
    storm.expect_contents();
    expect_within(pager.stats(), kLess);
    pager.set_memory_limit(kMemory);
    storm.run(Contents::shrinks, kPages, 2000);
    storm.expect_contents();
    expect_within(pager.stats(), kMemory);
}

TEST_P(MemoryLimit, ALoweredLimitHoldsForMemoryThatIsTakenLater) {
    Pager pager{config()};
    Region region = pager.reserve(kPages * kBasePageBytes);
    constexpr std::size_t kLess = kMemory / 2;
    pager.set_memory_limit(kLess);
    std::memset(region.data(), 0x5a, kPages / 2 * kBasePageBytes);
    const PagerStats stats = pager.stats();
    expect_within(stats, kLess);
    EXPECT_LE(stats.frames_peak, kLess);
}

TEST_P(MemoryLimit, TheProcessTakesNoMore) {
    if (kSanitized) GTEST_SKIP() << "the sanitizer's own memory is in the figure";
    constexpr std::size_t kNotCounted = std::size_t{2} << 20;  // stacks of threads, what malloc has, this test's own
    Pager pager{config()};
    Region region = pager.reserve(kPages * kBasePageBytes);
    reset_peak_resident_bytes();
    const std::size_t before = peak_resident_bytes();
    for (std::size_t round = 1; round <= 3; ++round) {
        for (std::size_t i = 0; i < kPages; ++i) store_word(region.data() + i * kBasePageBytes, i + round);
        for (std::size_t i = 0; i < kPages; ++i) ASSERT_EQ(load_word(region.data() + i * kBasePageBytes), i + round);
    }
    const std::size_t growth = peak_resident_bytes() - before;
    EXPECT_LE(growth, kMemory + kNotCounted);
    EXPECT_GE(growth, kMemory / 4) << "the figure measures nothing";
}

TEST(MemoryLimitValues, OutOfRangeAreRefused) {
    Config config;
    config.memory_limit = 1;
    expect_refused([&] { const Pager pager{config}; }, EINVAL, "memory_limit");
    config.memory_limit = kMemory;
    config.compressed_limit = kMemory;
    expect_refused([&] { const Pager pager{config}; }, EINVAL, "memory_limit");
    config.compressed_limit = 0;
    Pager pager{config};
    expect_refused([&] { pager.set_resident_limit(kMemory); }, EINVAL, "memory_limit");
    expect_refused([&] { pager.set_memory_limit(1); }, EINVAL, "memory limit");
    Pager without;
    EXPECT_EQ(without.memory_limit(), 0U);
    expect_refused([&] { without.set_memory_limit(kMemory); }, EINVAL, "memory limit");
}

/// One eviction of each delivery.
std::vector<Variant> variants() {
    return {{Delivery::uffd_signal, Eviction::move},
            {Delivery::uffd_threads, Eviction::move},
            {Delivery::sigsegv, Eviction::guard}};
}
INSTANTIATE_TEST_SUITE_P(matrix, MemoryLimit, ::testing::ValuesIn(variants()), VariantName{});

}  // namespace
}  // namespace faultline::test
