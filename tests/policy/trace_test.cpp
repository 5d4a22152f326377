// The purpose of a policy: fewer accesses with I/O, on traces that are the same in every run.
#include "policy/recorded_seed.hpp"
#include "policy/trace_simulator.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <random>

namespace faultline::test {
namespace {

constexpr std::size_t kFrames = 1000;

TEST(Trace, ThatFitsIntoMemoryIsReadOnce) {
    const Trace trace = loop_trace(kFrames, 5);
    EXPECT_EQ(run_fifo(trace, kFrames).hits, 4 * kFrames);
    EXPECT_EQ(run_second_chance(trace, kFrames).hits, 4 * kFrames);
}

TEST(Trace, NeverUsesMoreFramesThanTheLimit) {
    const Trace trace = zipf_trace(10 * kFrames, 0.99, 100'000, recorded_seed(3));
    EXPECT_EQ(run_fifo(trace, kFrames).most_frames, kFrames);
    EXPECT_EQ(run_second_chance(trace, kFrames).most_frames, kFrames);
}

TEST(Trace, ZipfIsServedBetterBySecondChanceThanByFifo) {
    for (std::uint64_t seed : {11U, 12U, 13U}) {
        SCOPED_TRACE(testing::Message() << "seed " << seed);
        const Trace trace = zipf_trace(10 * kFrames, 0.99, 300'000, seed);
        EXPECT_GT(run_second_chance(trace, kFrames).hit_rate(), run_fifo(trace, kFrames).hit_rate());
    }
}

TEST(Trace, LoopALittleLargerThanMemoryIsServedBetterBySecondChanceThanByFifo) {
    const Trace trace = loop_trace(kFrames * 11 / 10, 100);
    EXPECT_EQ(run_fifo(trace, kFrames).hits, 0U);
    EXPECT_GT(run_second_chance(trace, kFrames).hit_rate(), 0.5);
}

// All pages of a scan return after the same time, so none is better than those that memory holds.
TEST(Trace, LongScanLeavesSecondChancesMainSetAlone) {
    for (const std::uint32_t pages : {2000U, 2500U, 3000U, 4000U}) {
        const double ideal = 1.0 * kFrames / pages;  // a frame is of use once a round if its page stays
        EXPECT_GT(run_second_chance(loop_trace(pages, 100), kFrames).hit_rate(), ideal * 0.8) << pages << " pages";
    }
}

// Pages that are used once must not evict pages that are used all the time.
TEST(Trace, OneScanDoesNotEvictSecondChancesWorkingSet) {
    std::mt19937_64 random{recorded_seed(5)};
    Trace before;
    for (std::size_t i = 0; i < 100'000; ++i)
        before.push_back(static_cast<std::uint32_t>(random() % (kFrames * 6 / 5)));
    Trace with_scans;
    std::uint32_t scanned = 1'000'000;
    for (std::size_t i = 0; i < before.size(); ++i) {
        with_scans.push_back(before[i]);
        if (i % 10 == 0) with_scans.push_back(scanned++);
    }
    EXPECT_GT(run_second_chance(with_scans, kFrames).hit_rate(), run_fifo(with_scans, kFrames).hit_rate());
}

TEST(Trace, IsTheSameInEveryRun) {
    const Trace trace = zipf_trace(10 * kFrames, 0.99, 50'000, recorded_seed(17));
    EXPECT_EQ(run_second_chance(trace, kFrames).hits, run_second_chance(trace, kFrames).hits);
}

}  // namespace
}  // namespace faultline::test
