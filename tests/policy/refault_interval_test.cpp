// RefaultInterval: steps of powers of two, the mean over refaults, and sizes at which a quarter of memory is no frame.
#include "policy/refault_interval.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

namespace faultline::test {
namespace {

using policy::RefaultInterval;

constexpr std::uint32_t kFrames = 1000;

TEST(RefaultInterval, OfANewPageIsTwiceTheFrames) {
    EXPECT_EQ(RefaultInterval{}, RefaultInterval::nearest(2 * kFrames, kFrames));
    EXPECT_EQ(RefaultInterval{}.quarters(), 8U);
}

TEST(RefaultInterval, IsRoundedToTheNearestPowerOfTwo) {
    for (unsigned step = 0; step < RefaultInterval::kSteps; ++step) {
        const std::uint64_t exact = std::uint64_t{kFrames / 4} << step;
        SCOPED_TRACE(testing::Message() << exact << " evictions");
        EXPECT_EQ(RefaultInterval::nearest(exact, kFrames).step(), step);
        EXPECT_EQ(RefaultInterval::nearest(exact * 140 / 100, kFrames).step(), step);
        EXPECT_EQ(RefaultInterval::nearest(exact * 72 / 100, kFrames).step(), step);
    }
}

TEST(RefaultInterval, StaysBetweenAQuarterAndEightTimesTheFrames) {
    EXPECT_EQ(RefaultInterval::nearest(0, kFrames).quarters(), 1U);
    EXPECT_EQ(RefaultInterval::nearest(std::numeric_limits<std::uint32_t>::max(), kFrames).quarters(), 32U);
    RefaultInterval interval;
    for (int refault = 0; refault < 10; ++refault) {
        interval = interval.after(std::numeric_limits<std::uint32_t>::max(), kFrames);
    }
    EXPECT_EQ(interval.quarters(), 32U);
}

TEST(RefaultInterval, ApproachesTheDistanceOfTheLastRefaults) {
    for (const std::uint32_t distance : {kFrames / 4, kFrames / 2, kFrames, 2 * kFrames, 4 * kFrames}) {
        RefaultInterval interval;
        for (int refault = 0; refault < 4; ++refault) interval = interval.after(distance, kFrames);
        const std::uint64_t quarters = distance / (kFrames / 4);
        EXPECT_GE(interval.quarters(), quarters) << distance;
        EXPECT_LE(interval.quarters(), 2 * quarters) << distance;
    }
}

// In a scan of any length each page must keep one interval, or the scan would be admitted to the main set for ever.
TEST(RefaultInterval, StaysWhereItIsIfTheDistanceStays) {
    for (std::uint32_t distance = 1; distance < 20 * kFrames; distance += 37) {
        RefaultInterval interval;
        for (int refault = 0; refault < 4; ++refault) interval = interval.after(distance, kFrames);
        EXPECT_EQ(interval.after(distance, kFrames), interval) << distance;
    }
}

TEST(RefaultInterval, OfAPageInUseIsAStepShorter) {
    EXPECT_EQ(RefaultInterval::at_step(3).shorter().step(), 2U);
    EXPECT_EQ(RefaultInterval::at_step(0).shorter().step(), 0U);
}

TEST(RefaultInterval, IsDefinedForAHandfulOfFrames) {
    for (std::size_t frames = 0; frames < 8; ++frames) {
        for (std::uint32_t distance : {0U, 1U, 5U, 1000U}) {
            EXPECT_LT(RefaultInterval{}.after(distance, frames).step(), RefaultInterval::kSteps);
        }
    }
}

}  // namespace
}  // namespace faultline::test
