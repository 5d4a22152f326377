// ThrashWatch: says once that much of a window went into hard faults, and how much memory would have avoided them.
#include "pager/frame/thrash_watch.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <optional>

namespace faultline::test {
namespace {

using namespace std::chrono_literals;
using pager::Thrashing;
using pager::ThrashWatch;

constexpr std::uint64_t kFramesOfWatch = 1000;

class WatchedProgram : public testing::Test {
protected:
    /// Hard faults of `each`, on pages that left `evictions` ago.
    void fault(std::uint64_t times, std::uint64_t evictions, std::chrono::nanoseconds each) {
        for (std::uint64_t i = 0; i < times; ++i) static_cast<void>(watch_.record(evictions));
        durations_.record(static_cast<std::uint64_t>(each.count()), times);
        evictions_ += times;
    }
    std::optional<Thrashing> look_at(std::chrono::nanoseconds now) {
        return watch_.look(now, durations_, evictions_, kFramesOfWatch);
    }

    ThrashWatch watch_{100s};
    LatencyHistogram durations_;
    std::uint64_t evictions_ = 0;
};

TEST_F(WatchedProgram, IsDueAfterAMinuteUntilSomethingWasSaid) {
    EXPECT_FALSE(watch_.is_due(159s));
    EXPECT_TRUE(watch_.is_due(160s));
    fault(1000, 500, 100us);
    EXPECT_FALSE(look_at(160s));
    EXPECT_FALSE(watch_.is_due(161s)) << "a new window has begun";
    EXPECT_TRUE(watch_.is_due(220s));
    fault(1'000'000, 500, 100us);
    EXPECT_TRUE(look_at(220s));
    EXPECT_FALSE(watch_.is_due(1000s));
    fault(1'000'000, 500, 100us);
    EXPECT_FALSE(look_at(1000s)) << "it is said once";
}

TEST_F(WatchedProgram, IsLeftAloneWhileItWorksForMostOfTheTime) {
    fault(150'000, 500, 100us);  // 15 s
    EXPECT_FALSE(look_at(160s));
}

TEST_F(WatchedProgram, WithoutHardFaultsIsLeftAlone) { EXPECT_FALSE(look_at(160s)); }

TEST_F(WatchedProgram, SaysHowMuchTimeWasLostInHowManyFaults) {
    fault(400'000, 500, 100us);
    const std::optional<Thrashing> found = look_at(160s);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->over, 60s);
    EXPECT_EQ(found->faults, 400'000U);
    EXPECT_NEAR(std::chrono::duration<double>{found->lost}.count(), 40, 3) << "buckets are a sixteenth wide";
}

TEST_F(WatchedProgram, ThatWalksInALoopWantsTheWholeLoop) {
    // Of a loop over 1,500 pages in 1,000 frames, each page has left 500 evictions before it comes back.
    fault(400'000, 500, 100us);
    const std::optional<Thrashing> found = look_at(160s);
    ASSERT_TRUE(found);
    const double frames = static_cast<double>(found->wanted_bytes) / 4096;
    EXPECT_GT(frames, 450);
    EXPECT_LT(frames, 700);
}

TEST_F(WatchedProgram, WantsMoreIfItsPagesAreAwayForLonger) {
    fault(200'000, 500, 100us);
    fault(200'000, 4000, 100us);
    const std::optional<Thrashing> found = look_at(160s);
    ASSERT_TRUE(found);
    EXPECT_GT(static_cast<double>(found->wanted_bytes) / 4096, 1500);
}

}  // namespace
}  // namespace faultline::test
