// Trap 1: a page is copied, written to and dropped, and the write is lost. Writers increment counters while their pages
// are evicted and filled again; at the end every counter holds every increment.

#include "traps/trap_support.hpp"

#include <atomic>

namespace faultline::test {
namespace {

constexpr unsigned kWriters = 4;
constexpr std::size_t kCountedPages = 48;
constexpr std::uint64_t kLongestBurst = 64;

/// Returns the address of a counter. Each page begins with one counter per writer, then one that all writers share.
std::byte* counter(Region& region, std::uint64_t page, unsigned number) {
    return region.data() + page * region.page_size() + number * sizeof(std::uint64_t);
}

void increment_shared(std::byte* at) {
    std::atomic_ref<std::uint64_t>{*reinterpret_cast<std::uint64_t*>(at)}.fetch_add(1, std::memory_order_relaxed);
}

/// The increments of one writer, by page.
struct Tally {
    std::array<std::uint64_t, kCountedPages> increments{};
};

void write_one_burst(Region& region, unsigned writer, Random& random, Tally& tally) {
    const std::uint64_t page = random.below(kCountedPages);
    const std::uint64_t burst = 1 + random.below(kLongestBurst);
    std::byte* const own = counter(region, page, writer);
    for (std::uint64_t i = 0; i < burst; ++i) {
        write_word(own, read_word(own) + 1);
        increment_shared(counter(region, page, kWriters));
    }
    tally.increments[page] += burst;
}

/// Counts pages that were evicted and pages that faults took back from staging.
std::uint64_t pages_that_left(const Region& region) {
    const RegionStats stats = region.stats();
    return stats.evictions + stats.soft_faults;
}

void expect_every_increment(Region& region, const std::array<Tally, kWriters>& tallies) {
    for (std::uint64_t page = 0; page < kCountedPages; ++page) {
        std::uint64_t shared = 0;
        for (unsigned writer = 0; writer < kWriters; ++writer) {
            EXPECT_EQ(read_word(counter(region, page, writer)), tallies[writer].increments[page])
                << "page " << page << ", writer " << writer;
            shared += tallies[writer].increments[page];
        }
        EXPECT_EQ(read_word(counter(region, page, kWriters)), shared) << "page " << page;
    }
}

class Trap01 : public TrapMatrix {};

TEST_P(Trap01, EvictingPagesThatAreBeingWrittenLosesNoWrite) {
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(2 * kCountedPages));  // all pages fit: only advise() evicts them
    Region region = pager.reserve(kCountedPages * GetParam().page_size, options());
    std::array<Tally, kWriters> tallies{};
    std::atomic<bool> enough{false};
    run_threads(kWriters + 1, [&](unsigned index) {
        Random random{seed() + index};
        if (index < kWriters) {
            while (!enough.load()) write_one_burst(region, index, random, tallies[index]);
            return;
        }
        while (pages_that_left(region) < 2500) {
            const std::uint64_t first = random.below(kCountedPages);
            const std::uint64_t count = 1 + random.below(kCountedPages - first);
            region.advise(region.data() + first * region.page_size(), count * region.page_size(), Advice::dontneed);
        }
        enough.store(true);
    });
    expect_every_increment(region, tallies);
}

TEST_P(Trap01, ReclaimUnderPressureLosesNoWrite) {
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(kCountedPages / 4));
    Region region = pager.reserve(kCountedPages * GetParam().page_size, options());
    std::array<Tally, kWriters> tallies{};
    run_threads(kWriters, [&](unsigned writer) {
        Random random{seed() + writer};
        for (int burst = 0; burst < 2000; ++burst) write_one_burst(region, writer, random, tallies[writer]);
    });
    EXPECT_GT(pages_that_left(region), kCountedPages);
    expect_every_increment(region, tallies);
}

INSTANTIATE_TEST_SUITE_P(Matrix, Trap01, testing::ValuesIn(variants_with({4096, 65536})), VariantName{});

}  // namespace
}  // namespace faultline::test
