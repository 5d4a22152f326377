// PageTable on one thread: a word changes only if it still equals the expected one; scans visit touched pages and few
// others.
#include "table/page_table.hpp"

#include "support/process.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <set>
#include <vector>

namespace faultline::test {
namespace {

using core::PageRange;
using core::PageState;
using core::PageWord;
using table::PageTable;

// The bound that the documentation gives for a scan: it may visit the untouched pages that share 4 KiB of the table
// with a touched page.
constexpr std::uint64_t kNeighbours = core::kUnitBytes / sizeof(std::uint64_t);

void touch(const PageTable& table, std::uint64_t page) {
    PageWord seen = table.load(page);
    ASSERT_TRUE(table.try_change(page, seen, seen.with_slot(true)));
}

std::vector<std::uint64_t> visited(const PageTable& table, PageRange range) {
    std::vector<std::uint64_t> pages;
    table.for_each_touched(range, [&](std::uint64_t page) { pages.push_back(page); });
    return pages;
}

TEST(PageTable, StartsWithEveryPageEmpty) {
    const PageTable table{1000};
    EXPECT_EQ(table.pages(), 1000U);
    for (std::uint64_t page = 0; page < table.pages(); ++page) ASSERT_EQ(table.load(page), PageWord{});
}

TEST(PageTable, ChangesAWordThatStillEqualsTheExpectedOne) {
    const PageTable table{8};
    PageWord seen = table.load(3);
    const PageWord next = seen.claimed_for_fill();
    EXPECT_TRUE(table.try_change(3, seen, next));
    EXPECT_EQ(table.load(3), next);
    EXPECT_EQ(table.load(2), PageWord{});
    EXPECT_EQ(table.load(4), PageWord{});
}

TEST(PageTable, KeepsAWordThatChangedMeanwhileAndReturnsIt) {
    const PageTable table{8};
    touch(table, 3);
    const PageWord there = table.load(3);
    PageWord stale;
    EXPECT_FALSE(table.try_change(3, stale, stale.claimed_for_fill()));
    EXPECT_EQ(stale, there);
    EXPECT_EQ(table.load(3), there);
}

TEST(PageTable, PublishAppliesTheTransitionAndReturnsThePreviousWord) {
    const PageTable table{8};
    PageWord seen;
    ASSERT_TRUE(table.try_change(5, seen, seen.claimed_for_fill()));
    const PageWord before = table.publish(5, [](PageWord word) { return word.filled(9, true); });
    EXPECT_TRUE(before.is(PageState::filling));
    EXPECT_FALSE(before.waiters());
    EXPECT_TRUE(table.load(5).is(PageState::resident));
    EXPECT_EQ(table.load(5).payload(), 9U);
}

TEST(PageTable, PublishReportsWaitersAndClearsTheirMark) {
    const PageTable table{8};
    PageWord seen;
    ASSERT_TRUE(table.try_change(5, seen, seen.claimed_for_fill()));
    seen = table.load(5);
    ASSERT_TRUE(table.announce_waiter(5, seen));
    EXPECT_TRUE(table.publish(5, [](PageWord word) { return word.filled(9, true); }).waiters());
    EXPECT_FALSE(table.load(5).waiters());
}

TEST(PageTable, AnnouncingAWaiterFailsOnAWordThatChanged) {
    const PageTable table{8};
    PageWord stale;
    touch(table, 1);
    EXPECT_FALSE(table.announce_waiter(1, stale));
    EXPECT_EQ(stale, table.load(1));
    EXPECT_FALSE(table.load(1).waiters());
}

TEST(PageTable, WaitingForAWordThatAlreadyChangedReturns) {
    const PageTable table{8};
    const PageWord stale;
    touch(table, 1);
    table.wait(1, stale);
    // like a second waiter that loaded the word just before the page was published
    table.wait(1, stale.with_waiters(true));
    EXPECT_FALSE(table.load(1).waiters());
}

TEST(PageTable, ScanOfAnUntouchedTableVisitsNothing) {
    const PageTable table{1 << 20};
    EXPECT_TRUE(visited(table, {0, table.pages()}).empty());
}

TEST(PageTable, FailedChangeLeavesAnEmptyPageEmpty) {
    const PageTable table{8};
    PageWord wrong = PageWord{}.with_slot(true);
    EXPECT_FALSE(table.try_change(2, wrong, wrong));
    EXPECT_EQ(wrong, PageWord{});
    EXPECT_EQ(table.load(2), PageWord{});
}

TEST(PageTable, ScanVisitsInOrderAndOnlyInsideTheRange) {
    const PageTable table{1 << 20};
    for (std::uint64_t page = 0; page < 3 * kNeighbours; ++page) touch(table, page);
    std::vector<std::uint64_t> expected;
    for (std::uint64_t page = 100; page < 2 * kNeighbours + 5; ++page) expected.push_back(page);
    EXPECT_EQ(visited(table, {100, 2 * kNeighbours - 95}), expected);
    EXPECT_TRUE(visited(table, {100, 0}).empty());
}

TEST(PageTable, NextTouchedPageOfARangeIsItsFirstOrTheFirstOfALaterGroupOrItsEnd) {
    const PageTable table{std::uint64_t{1} << 28};  // 1 TiB of 4 KiB pages
    const std::uint64_t far = table.pages() - 3 * kNeighbours + 7;
    touch(table, kNeighbours + 9);
    touch(table, far);
    EXPECT_EQ(table.next_touched({0, table.pages()}), kNeighbours);
    EXPECT_EQ(table.next_touched({kNeighbours + 20, table.pages() - kNeighbours - 20}), kNeighbours + 20);
    EXPECT_EQ(table.next_touched({2 * kNeighbours, table.pages() - 2 * kNeighbours}), far - far % kNeighbours);
    EXPECT_EQ(table.next_touched({2 * kNeighbours, 100}), 2 * kNeighbours + 100);
    EXPECT_EQ(table.next_touched({far + kNeighbours, table.pages() - far - kNeighbours}), table.pages());
    EXPECT_EQ(table.next_touched({5, 0}), 5U);
}

TEST(PageTable, ScanFindsFirstAndLastPage) {
    for (std::uint64_t pages : {std::uint64_t{1}, kNeighbours, 64 * kNeighbours, 64 * kNeighbours + 1}) {
        const PageTable table{pages};
        touch(table, 0);
        if (pages > 1) touch(table, pages - 1);
        const std::vector<std::uint64_t> found = visited(table, {0, pages});
        ASSERT_FALSE(found.empty());
        EXPECT_EQ(found.front(), 0U);
        EXPECT_EQ(found.back(), pages - 1);
    }
}

// 2^28 pages of 4 KiB are 1 TiB, with a table of 2 GiB.
TEST(PageTable, ScanOfAHugeTableTakesMemoryForTouchedPagesOnly) {
    constexpr std::uint64_t kPages = std::uint64_t{1} << 28;
    const std::size_t resident_before = resident_bytes();
    const PageTable table{kPages};
    const std::set<std::uint64_t> touched = {0, 1, kNeighbours - 1, kNeighbours, kPages / 3, kPages / 2, kPages - 1};
    std::set<std::uint64_t> groups;
    for (std::uint64_t page : touched) {
        touch(table, page);
        groups.insert(page / kNeighbours);
    }
    const std::vector<std::uint64_t> found = visited(table, {0, kPages});
    EXPECT_EQ(found.size(), groups.size() * kNeighbours);
    for (std::uint64_t page : found) ASSERT_TRUE(groups.contains(page / kNeighbours)) << page;
    for (std::uint64_t page : touched) EXPECT_TRUE(std::find(found.begin(), found.end(), page) != found.end()) << page;

    constexpr std::size_t kLittle = std::size_t{64} << 20;  // sanitizers shadow the summary; the table has 2 GiB
    EXPECT_LT(resident_bytes(), resident_before + kLittle);
}

}  // namespace
}  // namespace faultline::test
