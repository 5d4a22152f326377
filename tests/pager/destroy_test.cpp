// Regions are made and destroyed while their pages, and pages of other regions, are being evicted.

#include "fake_store.hpp"
#include "pager_fixture.hpp"
#include "support/fault_catcher.hpp"
#include "support/process.hpp"

#include <sys/mman.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>
#include <random>
#include <thread>
#include <vector>

namespace faultline::test {
namespace {

class Destroy : public VariantTest {};

TEST_P(Destroy, HarmsNoThreadWhilePagesOfTheRegionAreWrittenBack) {
    const Watchdog watchdog;
    Pager pager{config_for(GetParam(), 64 * kBasePageBytes)};
    Region kept = pager.reserve(256 * kBasePageBytes);
    std::atomic<bool> done{false};
    std::atomic<std::uint64_t> wrong{0};
    const auto thrash = [&](unsigned thread) {
        std::mt19937_64 random{thread};
        std::vector<std::uint64_t> expected(256);
        for (std::uint64_t i = 1; !done.load(std::memory_order_relaxed); ++i) {
            const std::uint64_t page = random() % 128 * 2 + thread;
            std::byte* const at = kept.data() + page * kBasePageBytes;
            if (load_word(at) != expected[page]) wrong.fetch_add(1);
            store_word(at, expected[page] = i);
        }
    };
    std::thread first{thrash, 0U};
    std::thread second{thrash, 1U};
    for (int i = 0; i < 100; ++i) {
        Region brief = pager.reserve(48 * kBasePageBytes);
        for (std::uint64_t page = 0; page < 48; ++page) {
            store_word(brief.data() + page * kBasePageBytes, stamp(page, static_cast<std::uint64_t>(i)));
        }
        if (i % 2 == 0) brief.advise(brief.data(), brief.size() / 2, Advice::dontneed);
        brief.destroy();
    }
    done.store(true);
    first.join();
    second.join();
    EXPECT_EQ(wrong.load(), 0U);
    const PagerStats stats = pager.stats();
    EXPECT_LE(stats.resident_bytes + stats.staged_bytes + stats.swapped_bytes, kept.size());
}

TEST_P(Destroy, WaitsForRunningFaults) {
    const Watchdog watchdog;
    const FaultCatcher catcher;
    FakePager fake{GetParam(), plain_config(GetParam()), 16, 32};
    std::byte* const page = fake.page(3);
    write_stamps(page, fake.page_bytes(), stamp(3));
    fake.evict_all();
    fake.store().read_gate.close();
    // The access may read the page, or raise a signal because the region is gone: that is an error of the program. The
    // pager must not be damaged by it.
    std::thread reader{[&] { FaultCatcher::read(page); }};
    fake.store().read_gate.wait_for_arrivals(1);
    std::atomic<bool> begun{false};
    std::atomic<bool> gone{false};
    std::thread destroyer{[&] {
        begun.store(true);
        begun.notify_all();
        fake.destroy_region();
        gone.store(true);
    }};
    begun.wait(false);
    EXPECT_FALSE(gone.load()) << "a fault is still reading";
    fake.store().read_gate.open();
    reader.join();
    destroyer.join();
    EXPECT_EQ(fake.pager().stats().resident_bytes, 0U);
    EXPECT_EQ(fake.pager().stats().frames_used, 0U);
}

TEST_P(Destroy, FreesFramesMemoryAndAddresses) {
    const std::size_t bytes = std::size_t{16} << 20;
    Config config = config_for(GetParam(), 2 * bytes);
    config.background_evictor = false;  // its thread's own memory would be in the figures
    Pager pager{config};
    pager.reserve(bytes).destroy();  // the pager keeps its table of slots
    const std::size_t mapped = mappings();
    const std::size_t resident = resident_bytes();
    Region region = pager.reserve(bytes);
    std::byte* const base = region.data();
    std::memset(base, 1, bytes);
    EXPECT_GE(pager.stats().frames_used, bytes);
    region.destroy();
    EXPECT_FALSE(region);
    EXPECT_EQ(::madvise(base, bytes, MADV_NORMAL), -1);
    EXPECT_EQ(errno, ENOMEM) << "nothing may be mapped there";
    EXPECT_EQ(pager.stats().frames_used, 0U);
    EXPECT_EQ(pager.stats().resident_bytes, 0U);
    if (!kSanitized) {  // a sanitizer's memory would be in the figures
        EXPECT_EQ(mappings(), mapped);
        EXPECT_LE(resident_bytes(), resident + (std::size_t{1} << 20));
    }
}

TEST_P(Destroy, KeepsTheRegionsCountsInThePagersSums) {
    Pager pager{config_for(GetParam(), 32 * kBasePageBytes)};
    for (int i = 0; i < 3; ++i) {
        Region region = pager.reserve(8 * kBasePageBytes);
        for (std::size_t page = 0; page < 8; ++page) touch(region.data() + page * kBasePageBytes);
    }
    FakePager::settle();
    EXPECT_EQ(pager.stats().first_touches, 24U);
    EXPECT_EQ(pager.stats().resident_bytes, 0U);
}

TEST_P(Destroy, AllowsHandlesToEndInAnyOrder) {
    Region survivor;
    {
        Pager pager{config_for(GetParam(), 16 * kBasePageBytes)};
        survivor = pager.reserve(64 * kBasePageBytes);
        write_stamps(survivor.data(), kBasePageBytes, stamp(0));
    }
    for (std::uint64_t page = 0; page < 64; ++page) {
        write_stamps(survivor.data() + page * kBasePageBytes, kBasePageBytes, stamp(page));
    }
    for (std::uint64_t page = 0; page < 64; ++page) {
        EXPECT_TRUE(has_stamps(survivor.data() + page * kBasePageBytes, kBasePageBytes, stamp(page)));
    }
    EXPECT_GT(survivor.stats().evictions, 0U);
}

INSTANTIATE_TEST_SUITE_P(matrix, Destroy, ::testing::ValuesIn(deliveries_and_evictions()), VariantName{});

/// Each pager keeps its own limit, and resolves the faults of its own regions.
class TwoPagers : public VariantTest {};

TEST_P(TwoPagers, WorkSideBySideAndDoNotMix) {
    const Watchdog watchdog;
    Pager one{config_for(GetParam(), 16 * kBasePageBytes)};
    auto other = std::make_unique<Pager>(config_for(GetParam(), 24 * kBasePageBytes));
    Region first = one.reserve(64 * kBasePageBytes);
    Region second = other->reserve(64 * kBasePageBytes);
    run_threads(4, [&](unsigned thread) {
        Region& region = thread % 2 == 0 ? first : second;
        for (std::uint64_t page = thread / 2; page < 64; page += 2) {
            write_stamps(region.data() + page * kBasePageBytes, kBasePageBytes, stamp(page, thread % 2));
        }
    });
    EXPECT_LE(one.stats().frames_used, 16 * kBasePageBytes);
    EXPECT_LE(other->stats().frames_used, 24 * kBasePageBytes);
    for (std::uint64_t page = 0; page < 64; ++page) {
        EXPECT_TRUE(has_stamps(first.data() + page * kBasePageBytes, kBasePageBytes, stamp(page, 0)));
        EXPECT_TRUE(has_stamps(second.data() + page * kBasePageBytes, kBasePageBytes, stamp(page, 1)));
    }
    // At least: a page may be evicted, still all zeros, between its fault and the write that faulted.
    FakePager::settle();
    EXPECT_GE(one.stats().first_touches, 64U);
    EXPECT_GE(other->stats().first_touches, 64U);
}

TEST_P(TwoPagers, ResolveFaultsAfterTheOtherIsGone) {
    auto one = std::make_unique<Pager>(config_for(GetParam(), 16 * kBasePageBytes));
    Pager other{config_for(GetParam(), 16 * kBasePageBytes)};
    Region region = other.reserve(64 * kBasePageBytes);
    std::memset(region.data(), 0x11, region.size());
    one.reset();
    for (std::uint64_t page = 0; page < 64; ++page) {
        ASSERT_EQ(region.data()[page * kBasePageBytes + 5], std::byte{0x11}) << page;
    }
}

TEST_P(TwoPagers, CopyBetweenTheirRegionsWithTheFewestFrames) {
    const Watchdog watchdog;
    const std::size_t limit = Pager::kMinimumPages * kBasePageBytes;
    Variant elsewhere = GetParam();
    elsewhere.delivery = Delivery::uffd_signal;  // two deliveries in one process
    elsewhere.eviction = Eviction::automatic;
    Pager one{config_for(GetParam(), limit)};
    Pager other{config_for(elsewhere, limit)};
    Region source = one.reserve(64 * kBasePageBytes);
    Region target = other.reserve(64 * kBasePageBytes);
    for (std::uint64_t page = 0; page < 64; ++page) {
        write_stamps(source.data() + page * kBasePageBytes, kBasePageBytes, stamp(page));
    }
    std::memcpy(target.data(), source.data(), source.size());
    EXPECT_EQ(std::memcmp(target.data(), source.data(), source.size()), 0);
}

INSTANTIATE_TEST_SUITE_P(matrix, TwoPagers, ::testing::ValuesIn(deliveries_and_evictions()), VariantName{});

}  // namespace
}  // namespace faultline::test
