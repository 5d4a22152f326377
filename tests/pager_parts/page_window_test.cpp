// PageWindow: a set of 64 neighbouring pages, also at the edges of a region.
#include "pager/region/page_window.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace faultline::test {
namespace {

using pager::PageWindow;

std::vector<std::uint64_t> pages_of(PageWindow window) {
    std::vector<std::uint64_t> pages;
    window.for_each([&](std::uint64_t page) { pages.push_back(page); });
    return pages;
}

TEST(PageWindow, NamesItsPagesInOrder) {
    const PageWindow window{100, 0b1011};
    EXPECT_EQ(pages_of(window), (std::vector<std::uint64_t>{100, 101, 103}));
    EXPECT_EQ(window.count(), 3U);
    EXPECT_EQ(window.span(), 4U);
    EXPECT_EQ(pages_of(window.without(101)), (std::vector<std::uint64_t>{100, 103}));
}

TEST(PageWindow, BeginsWithItsFirstPageWhenTrimmed) {
    const PageWindow window = PageWindow{100, 0b101000}.trimmed();
    EXPECT_EQ(window.first, 103U);
    EXPECT_EQ(pages_of(window), (std::vector<std::uint64_t>{103, 105}));
}

TEST(PageWindow, KnowsTheRunAroundAPage) {
    const PageWindow window{100, 0b1101'1101};
    EXPECT_EQ(pages_of(window.run_around(103)), (std::vector<std::uint64_t>{102, 103, 104}));
    EXPECT_EQ(pages_of(window.run_around(100)), (std::vector<std::uint64_t>{100}));
    EXPECT_EQ(pages_of(window.run_around(107)), (std::vector<std::uint64_t>{106, 107}));
}

TEST(PageWindow, HasRoomFor64Pages) {
    const PageWindow all{0, ~std::uint64_t{0}};
    EXPECT_EQ(all.count(), 64U);
    EXPECT_EQ(all.span(), 64U);
    for (const std::uint64_t page : {0U, 1U, 32U, 62U, 63U}) EXPECT_EQ(all.run_around(page).mask, all.mask) << page;
    EXPECT_EQ(pages_of(PageWindow{5, std::uint64_t{1} << 63}.run_around(68)), (std::vector<std::uint64_t>{68}));
}

}  // namespace
}  // namespace faultline::test
