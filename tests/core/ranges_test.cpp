#include "core/address_range.hpp"
#include "core/page_range.hpp"

#include <gtest/gtest.h>

namespace faultline::core {
namespace {

TEST(AddressRange, ContainsItsBeginAndNotItsEnd) {
    constexpr AddressRange range{0x1000, 0x3000};
    EXPECT_EQ(range.bytes(), 0x2000U);
    EXPECT_FALSE(range.contains(0xfff));
    EXPECT_TRUE(range.contains(0x1000));
    EXPECT_TRUE(range.contains(0x2fff));
    EXPECT_FALSE(range.contains(0x3000));
    EXPECT_TRUE(range.contains(AddressRange{0x1000, 0x3000}));
    EXPECT_FALSE(range.contains(AddressRange{0x1000, 0x3001}));
}

TEST(AddressRange, NeighboursDoNotOverlap) {
    constexpr AddressRange range{0x1000, 0x3000};
    EXPECT_FALSE(range.overlaps({0, 0x1000}));
    EXPECT_FALSE(range.overlaps({0x3000, 0x4000}));
    EXPECT_TRUE(range.overlaps({0, 0x1001}));
    EXPECT_TRUE(range.overlaps({0x2fff, 0x4000}));
    EXPECT_FALSE(range.overlaps({0x2000, 0x2000})) << "an empty range shares no address";
}

TEST(AddressRange, ThePartOutsideIsEmpty) {
    constexpr AddressRange range{0x1000, 0x3000};
    EXPECT_EQ(range.part_in({0x2000, 0x9000}), (AddressRange{0x2000, 0x3000}));
    EXPECT_EQ(range.part_in({0, 0x9000}), range);
    EXPECT_TRUE(range.part_in({0x3000, 0x9000}).empty());
    EXPECT_TRUE(AddressRange{}.empty());
}

TEST(PageRange, ContainsItsFirstPageAndNotItsEnd) {
    constexpr PageRange range{5, 3};
    EXPECT_EQ(range.end(), 8U);
    EXPECT_FALSE(range.contains(4));
    EXPECT_TRUE(range.contains(5));
    EXPECT_TRUE(range.contains(7));
    EXPECT_FALSE(range.contains(8));
    EXPECT_FALSE(range.empty());
    EXPECT_TRUE(PageRange{}.empty());
    EXPECT_FALSE((PageRange{5, 0}.contains(5)));
}

}  // namespace
}  // namespace faultline::core
