// Departure: a departure read back from a payload equals the one that was stored.
#include "core/departure.hpp"

#include <gtest/gtest.h>

namespace faultline::test {
namespace {

using core::Departure;

TEST(Departure, CountsTheEvictionsSinceThePageWasEvicted) {
    for (const std::uint32_t evictions : {0U, 1U, 2U, 1000U, 0x7fff'fff0U, 0xffff'fff0U}) {
        for (const std::uint8_t tag : {std::uint8_t{0}, std::uint8_t{1}, std::uint8_t{31}}) {
            const Departure left = Departure::from(Departure::after(evictions, tag).payload());
            EXPECT_EQ(left.evictions_until(evictions), 0U);
            EXPECT_EQ(left.evictions_until(evictions + 77), 77U);
            EXPECT_EQ(left.tag(), tag);
        }
    }
}

TEST(Departure, LongBeforeIsMoreEvictionsThanAMemoryOfExactCountsHasFrames) {
    constexpr std::uint32_t kFarAway = std::uint32_t{1} << 25;
    for (const std::uint32_t evictions : {0U, 1U, 1000U, 0x7fff'fff0U, 0xffff'fff0U}) {
        EXPECT_GT(Departure::long_before(evictions).evictions_until(evictions), kFarAway);
    }
}

}  // namespace
}  // namespace faultline::test
