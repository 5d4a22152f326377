// The names of enumerators in options, messages and JSON. Programs parse them, so they are part of the interface.
#include <faultline/types.hpp>

#include "core/units.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

namespace faultline::test {
namespace {

TEST(Names, OfDeliveries) {
    EXPECT_STREQ(name(Delivery::uffd_threads), "uffd_threads");
    EXPECT_STREQ(name(Delivery::uffd_signal), "uffd_signal");
}

TEST(Names, OfEvictions) {
    EXPECT_STREQ(name(Eviction::automatic), "automatic");
    EXPECT_STREQ(name(Eviction::move), "move");
    EXPECT_STREQ(name(Eviction::copy), "copy");
}

TEST(Names, OfReplacements) {
    EXPECT_STREQ(name(Replacement::fifo), "fifo");
    EXPECT_STREQ(name(Replacement::second_chance), "second_chance");
}

TEST(Names, AreNeverNull) {
    constexpr auto kNoSuchValue = std::numeric_limits<std::uint8_t>::max();
    EXPECT_STREQ(name(static_cast<Delivery>(kNoSuchValue)), "unknown");
    EXPECT_STREQ(name(static_cast<Eviction>(kNoSuchValue)), "unknown");
    EXPECT_STREQ(name(static_cast<Replacement>(kNoSuchValue)), "unknown");
}

TEST(Units, AlignToTheNearestMultiple) {
    constexpr std::uint64_t kUnit = core::kUnitBytes;
    for (std::uint64_t base : {std::uint64_t{0}, 7 * kUnit, std::uint64_t{1} << 46}) {
        EXPECT_EQ(core::align_down(base, kUnit), base);
        EXPECT_EQ(core::align_up(base, kUnit), base);
        EXPECT_EQ(core::align_down(base + 1, kUnit), base);
        EXPECT_EQ(core::align_up(base + 1, kUnit), base + kUnit);
        EXPECT_EQ(core::align_down(base + kUnit - 1, kUnit), base);
        EXPECT_EQ(core::align_up(base + kUnit - 1, kUnit), base + kUnit);
    }
}

}  // namespace
}  // namespace faultline::test
