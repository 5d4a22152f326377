// PageRuns against an oracle with one flag per page, and the movement of its frontiers.
#include "heap/page_runs.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

namespace faultline::heap {
namespace {

using core::PageRange;

constexpr std::uint64_t kPages = 512;

TEST(PageRuns, GrowFromBothEndsUntilTheyMeet) {
    PageRuns runs{kPages, 0};
    EXPECT_EQ(runs.take(Area::brk, 16, 1)->first, 0U);
    EXPECT_EQ(runs.take(Area::mappings, 16, 1)->first, kPages - 16);
    EXPECT_EQ(runs.break_page(), 16U);
    EXPECT_EQ(runs.floor_page(), kPages - 16);
    EXPECT_EQ(runs.take(Area::brk, kPages - 31, 1), std::nullopt);
    EXPECT_TRUE(runs.take(Area::brk, kPages - 32, 1));
    EXPECT_EQ(runs.take(Area::mappings, 1, 1), std::nullopt);
}

TEST(PageRuns, AFullAreaTakesFromTheOther) {
    PageRuns runs{kPages, 0};
    const auto low = runs.take(Area::brk, kPages, 1);
    ASSERT_TRUE(low);
    runs.give({100, 20});
    EXPECT_EQ(runs.take(Area::mappings, 20, 1)->first, 100U);
}

TEST(PageRuns, AFreshRunAtAFrontierMakesItRetreat) {
    PageRuns runs{kPages, 0};
    ASSERT_TRUE(runs.take(Area::brk, 64, 1));
    ASSERT_TRUE(runs.take(Area::mappings, 64, 1));
    EXPECT_FALSE(runs.take_run_at_frontier(Area::brk));
    runs.give({40, 24});
    runs.give({kPages - 64, 10});
    const auto top = runs.take_run_at_frontier(Area::brk);
    ASSERT_TRUE(top);
    EXPECT_EQ(top->first, 40U);
    runs.give_fresh(*top);
    EXPECT_EQ(runs.break_page(), 40U);
    runs.give_fresh(*runs.take_run_at_frontier(Area::mappings));
    EXPECT_EQ(runs.floor_page(), kPages - 54);
    EXPECT_EQ(runs.free_in(Area::brk) + runs.free_in(Area::mappings), 0U);
}

TEST(PageRuns, AlignmentsReferToAddressesNotPageNumbers) {
    PageRuns runs{kPages, 3};
    EXPECT_EQ((runs.take(Area::brk, 1, 64)->first + 3) % 64, 0U);
    EXPECT_EQ((runs.take(Area::mappings, 5, 64)->first + 3) % 64, 0U);
    EXPECT_EQ((runs.take(Area::mappings, 5, 64)->first + 3) % 64, 0U);
    EXPECT_TRUE(runs.take(Area::brk, 61, 1)) << "pages that alignment skipped are free";
}

TEST(PageRuns, TheRunBehindAnotherCanBeTakenInPlace) {
    PageRuns runs{kPages, 0};
    ASSERT_TRUE(runs.take(Area::brk, 64, 1));
    EXPECT_TRUE(runs.take_at(64, 8)) << "the break grows";
    EXPECT_EQ(runs.break_page(), 72U);
    EXPECT_FALSE(runs.take_at(63, 2));
    runs.give({10, 10});
    EXPECT_FALSE(runs.take_at(15, 6));
    EXPECT_TRUE(runs.take_at(15, 5));
    EXPECT_EQ(runs.free_in(Area::brk), 5U);
}

TEST(PageRuns, NoPageIsTakenTwiceAndNoneIsLost) {
    const unsigned seed = std::random_device{}();
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random{seed};
    PageRuns runs{kPages, 5};
    std::vector<bool> taken(kPages);
    std::map<std::uint64_t, std::uint64_t> blocks;
    const auto mark = [&](PageRange range, bool on) {
        for (std::uint64_t page = range.first; page < range.end(); ++page) {
            ASSERT_NE(taken.at(page), on);
            taken[page] = on;
        }
    };
    for (int step = 0; step < 20'000; ++step) {
        const Area area = random() % 2 == 0 ? Area::brk : Area::mappings;
        if (random() % 2 == 0) {
            const std::uint64_t alignment = std::uint64_t{1} << (random() % 5);
            const auto run = runs.take(area, random() % 40 + 1, alignment);
            if (!run) continue;
            ASSERT_EQ((run->first + 5) % alignment, 0U);
            mark(*run, true);
            blocks[run->first] = run->count;
        } else if (!blocks.empty()) {
            const auto block = std::next(blocks.begin(), static_cast<long>(random() % blocks.size()));
            const PageRange range{block->first, block->second};
            blocks.erase(block);
            mark(range, false);
            runs.give(range);
            if (random() % 4 == 0) {
                if (const auto top = runs.take_run_at_frontier(area)) runs.give_fresh(*top);
            }
        }
        if (HasFatalFailure()) return;
        std::uint64_t used = 0;
        for (const auto& [first, count] : blocks) used += count;
        ASSERT_EQ(used + runs.free_in(Area::brk) + runs.free_in(Area::mappings),
                  runs.break_page() + kPages - runs.floor_page());
    }
}

}  // namespace
}  // namespace faultline::heap
