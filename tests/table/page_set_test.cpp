#include "table/page_set.hpp"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <vector>

namespace faultline::table {
namespace {

using core::PageRange;

std::vector<std::pair<std::uint64_t, std::uint64_t>> runs_of(const PageSet& set) {
    std::vector<std::pair<std::uint64_t, std::uint64_t>> runs;
    set.for_each_run([&](PageRange run) { runs.emplace_back(run.first, run.count); });
    return runs;
}

TEST(PageSet, BeginsEmptyAndContainsExactlyTheInsertedPages) {
    const PageSet set{1000};
    EXPECT_TRUE(runs_of(set).empty());
    set.insert({60, 10});
    set.insert({128, 64});
    EXPECT_FALSE(set.contains(59));
    EXPECT_TRUE(set.contains(60));
    EXPECT_TRUE(set.contains(69));
    EXPECT_FALSE(set.contains(70));
    set.erase({130, 3});
    EXPECT_EQ(runs_of(set), (std::vector<std::pair<std::uint64_t, std::uint64_t>>{{60, 10}, {128, 2}, {133, 59}}));
}

TEST(PageSet, ARunCanReachTheLastPage) {
    const PageSet set{130};
    set.insert({0, 130});
    EXPECT_EQ(runs_of(set), (std::vector<std::pair<std::uint64_t, std::uint64_t>>{{0, 130}}));
}

TEST(PageSet, AgreesWithASetOverRandomChanges) {
    constexpr std::uint64_t kPages = 700;
    const std::uint64_t seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random{seed};
    const PageSet set{kPages};
    std::set<std::uint64_t> expected;
    for (int step = 0; step < 300; ++step) {
        const std::uint64_t first = random() % kPages;
        const PageRange range{first, random() % (kPages - first + 1)};
        const bool insert = random() % 2 == 0;
        insert ? set.insert(range) : set.erase(range);
        for (std::uint64_t page = range.first; page < range.end(); ++page) {
            if (insert) expected.insert(page);
            if (!insert) expected.erase(page);
        }
        std::set<std::uint64_t> seen;
        set.for_each_run([&](PageRange run) {
            for (std::uint64_t page = run.first; page < run.end(); ++page) seen.insert(page);
        });
        ASSERT_EQ(seen, expected) << "step " << step;
        const std::uint64_t any = random() % kPages;
        ASSERT_EQ(set.contains(any), expected.count(any) == 1);
    }
}

}  // namespace
}  // namespace faultline::table
