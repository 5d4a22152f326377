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

/// The bits of 32,768 pages share one page of memory, by which searches skip.
TEST(PageSet, SearchesFindPagesThatLieFarApart) {
    constexpr std::uint64_t kFar = std::uint64_t{1} << 32;
    const PageSet set{kFar + 1};
    set.insert({0, 1});
    set.insert({32767, 2});
    set.insert({100'000, 70'000});
    set.insert({kFar - 5, 5});
    set.insert({500'000, 0});
    using Runs = std::vector<std::pair<std::uint64_t, std::uint64_t>>;
    EXPECT_EQ(runs_of(set), (Runs{{0, 1}, {32767, 2}, {100'000, 70'000}, {kFar - 5, 5}}));
    EXPECT_EQ(set.first_run({170'000, kFar - 170'000}).first, kFar - 5);
    EXPECT_EQ(set.first_run({1, 32766}).count, 0U);
    EXPECT_FALSE(set.contains_any({32769, 100'000 - 32769}));
    EXPECT_TRUE(set.contains_any({1, kFar}));
    set.erase({1, kFar - 3});
    EXPECT_EQ(runs_of(set), (Runs{{0, 1}, {kFar - 2, 2}}));
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
