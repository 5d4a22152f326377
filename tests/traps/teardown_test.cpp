// Traps 17 and 19: destruction while threads wait, and threads that wait for themselves. After a region or a pager is
// destroyed, threads that wait for pages of another one never read zeros. A single handler thread, which fills, evicts
// and writes for all threads, never faults on a page itself.

#include "traps/trap_support.hpp"

#include <atomic>
#include <mutex>
#include <optional>
#include <string_view>

namespace faultline::test {
namespace {

constexpr unsigned kReaders = 3;
constexpr std::size_t kPages = 40;

class Trap17 : public TrapMatrix {
protected:
    /// Runs `disturb` while other threads fault on the region's pages. Returns the number of wrong words they read.
    template <typename Disturb>
    std::size_t wrong_words_during(const Region& region, Disturb disturb) const {
        std::atomic<bool> enough{false};
        std::atomic<std::size_t> wrong{0};
        run_threads(kReaders + 1, [&](unsigned index) {
            if (index == kReaders) {
                disturb();
                enough.store(true);
                return;
            }
            Random random{seed() + index};
            while (!enough.load()) wrong += wrong_words(region, random.below(units_of(region)));
        });
        return wrong.load();
    }
};

TEST_P(Trap17, DestroyingARegionShowsNoThreadZeros) {
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(12));
    Region region = pager.reserve(kPages * GetParam().page_size, options());
    fill_with_units(region);
    EXPECT_EQ(wrong_words_during(region,
                                 [&, this] {
                                     for (int i = 0; i < 150; ++i) {
                                         Region passing = pager.reserve(8 * GetParam().page_size, options());
                                         for (std::size_t page = 0; page < 8; ++page) {
                                             write_word(passing.data() + page * passing.page_size(), page + 1);
                                         }
                                         passing.destroy();
                                     }
                                 }),
              0U);
    EXPECT_EQ(wrong_words(region), 0U);
}

TEST_P(Trap17, DestroyingAPagerShowsNoThreadZeros) {
    FAULTLINE_PAGER_OR_SKIP(pager, config_with(12));
    Region region = pager.reserve(kPages * GetParam().page_size, options());
    fill_with_units(region);
    std::atomic<std::size_t> wrong_in_passing{0};
    EXPECT_EQ(wrong_words_during(region,
                                 [&, this] {
                                     for (int i = 0; i < 15; ++i) {
                                         std::optional<Pager> passing{config_with(12)};
                                         Region its_region = passing->reserve(24 * GetParam().page_size, options());
                                         fill_with_units(its_region);
                                         if (i % 2 == 0) passing.reset();  // the region keeps its pager alive
                                         wrong_in_passing += wrong_words(its_region);
                                     }
                                 }),
              0U);
    EXPECT_EQ(wrong_in_passing.load(), 0U);
    EXPECT_EQ(wrong_words(region), 0U);
}

INSTANTIATE_TEST_SUITE_P(Matrix, Trap17, testing::ValuesIn(deliveries_and_evictions()), VariantName{});

// ---- 19 a handler touches managed memory

class Trap19 : public TrapMatrix {
protected:
    void keep_everything_moving(const Config& config) {
        FAULTLINE_PAGER_OR_SKIP(pager, config);
        Region region = pager.reserve(kPages * GetParam().page_size, options());
        fill_with_units(region);
        std::atomic<std::size_t> wrong{0};
        std::atomic<unsigned> reading{kReaders};
        run_threads(kReaders + 1, [&](unsigned index) {
            if (index == kReaders) {
                while (reading.load() > 0) region.advise(region.data(), region.size(), Advice::dontneed);
                return;
            }
            Random random{seed() + index};
            for (int i = 0; i < 400; ++i) {
                const std::uint64_t unit = random.below(units_of(region));
                wrong += wrong_words(region, unit);
                write_word(region.data() + unit * kBasePageBytes, word_of_unit(unit));
            }
            --reading;
        });
        EXPECT_EQ(wrong.load(), 0U);
        evict_all(region);
        EXPECT_EQ(wrong_words(region), 0U);
    }
};

TEST_P(Trap19, OneHandlerThreadDoesEverythingWithoutWaitingForItself) {
    Config config = config_with(8);
    config.handler_threads = 1;
    config.background_evictor = false;  // the handler thread evicts and writes, too
    keep_everything_moving(config);
}

TEST_P(Trap19, HandlersAndEvictorNeedNoPageOfTheProgram) {
    Config config = config_with(8);
    config.handler_threads = 1;
    std::mutex mutex;
    std::string said;
    config.log = [&](LogLevel, std::string_view message) {
        const std::lock_guard lock{mutex};
        said += message;
    };
    keep_everything_moving(config);
    if (IsSkipped()) return;
    EXPECT_NE(said, "");
}

INSTANTIATE_TEST_SUITE_P(Matrix, Trap19, testing::ValuesIn(variants_with({4096, 65536})), VariantName{});

}  // namespace
}  // namespace faultline::test
