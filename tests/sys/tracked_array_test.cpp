#include "sys/tracked_array.hpp"

#include "core/units.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <set>
#include <vector>

namespace faultline::sys {
namespace {

using Array = TrackedArray<std::uint64_t>;

constexpr std::uint64_t kPerPage = core::kUnitBytes / sizeof(std::uint64_t);

std::vector<std::uint64_t> marked_in(const Array& array, std::uint64_t from, std::uint64_t end) {
    std::vector<std::uint64_t> marked;
    array.for_each_marked(from, end, [&](std::uint64_t index) { marked.push_back(index); });
    return marked;
}

TEST(TrackedArray, NothingIsMarkedAtFirst) {
    const Array array{10 * kPerPage, "a test array"};
    EXPECT_EQ(array.next_marked(0, array.size()), array.size());
    EXPECT_TRUE(marked_in(array, 0, array.size()).empty());
}

TEST(TrackedArray, AMarkCoversThePageOfTheElement) {
    const Array array{10 * kPerPage, "a test array"};
    array.mark(3 * kPerPage + 7);
    EXPECT_EQ(array.next_marked(0, array.size()), 3 * kPerPage);
    EXPECT_EQ(array.next_marked(3 * kPerPage + 9, array.size()), 3 * kPerPage + 9) << "in the page already";
    EXPECT_EQ(array.next_marked(4 * kPerPage, array.size()), array.size());
    EXPECT_EQ(array.next_marked(0, 2 * kPerPage), 2 * kPerPage) << "the mark is beyond the end";
    EXPECT_EQ(array.next_marked(5, 5), 5U);
    EXPECT_EQ(marked_in(array, 0, array.size()).size(), kPerPage);
    EXPECT_EQ(marked_in(array, 4 * kPerPage - 2, array.size()),
              (std::vector<std::uint64_t>{4 * kPerPage - 2, 4 * kPerPage - 1}));
}

TEST(TrackedArray, TheLastElementCanBeMarked) {
    const Array array{kPerPage + 1, "a test array"};
    array.mark(kPerPage);
    EXPECT_EQ(marked_in(array, 0, array.size()), std::vector<std::uint64_t>{kPerPage});
}

TEST(TrackedArray, AScanSkipsManyPagesAtOnce) {
    constexpr std::uint64_t kFar = 1000 * kPerPage;
    const Array array{2 * kFar, "a test array"};
    array.mark(kFar);
    EXPECT_EQ(array.next_marked(0, array.size()), kFar);
    EXPECT_EQ(marked_in(array, 0, kFar + 1), std::vector<std::uint64_t>{kFar});
}

TEST(TrackedArray, AScanFindsTheSameMarksInArraysOfAllSizes) {
    constexpr unsigned kSeed = 5;
    RecordProperty("seed", kSeed);
    std::mt19937_64 random{kSeed};
    for (std::uint64_t pages = 1; pages < (std::uint64_t{1} << 22); pages = pages * 3 + random() % 3) {
        const Array array{pages * kPerPage, "a test array"};
        std::set<std::uint64_t> marked;
        for (int i = 0; i < 20; ++i) {
            const std::uint64_t first = random() % pages;
            const std::uint64_t count = std::min<std::uint64_t>(random() % 9 + 1, pages - first);
            array.mark(first * kPerPage, count * kPerPage);
            for (std::uint64_t page = first; page < first + count; ++page) marked.insert(page);
        }
        std::set<std::uint64_t> found;
        for (std::uint64_t at = 0; (at = array.next_marked(at, array.size())) < array.size(); at += kPerPage) {
            found.insert(at / kPerPage);
        }
        EXPECT_EQ(found, marked) << pages << " pages";
    }
}

}  // namespace
}  // namespace faultline::sys
