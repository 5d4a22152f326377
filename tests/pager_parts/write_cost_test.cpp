#include "pager/frame/write_cost.hpp"

#include <gtest/gtest.h>

#include <chrono>

namespace faultline::pager {
namespace {

using std::chrono::microseconds;

void record(WriteCost& cost, microseconds per_page, int batches) {
    constexpr std::size_t kPages = 32;
    for (int i = 0; i < batches; ++i) cost.record(per_page * kPages, kPages);
}

TEST(WriteCost, IsLowUntilWritesAreSeen) { EXPECT_TRUE(WriteCost{}.is_low()); }

TEST(WriteCost, StaysLowWithCompressedMemory) {
    WriteCost cost;
    record(cost, microseconds{6}, 10'000);
    EXPECT_TRUE(cost.is_low());
}

TEST(WriteCost, IsHighSoonWithADisk) {
    WriteCost cost;
    record(cost, microseconds{70}, 50);
    EXPECT_FALSE(cost.is_low());
}

TEST(WriteCost, FollowsAStoreThatBecomesFast) {
    WriteCost cost;
    record(cost, microseconds{70}, 1000);
    record(cost, microseconds{2}, 50);
    EXPECT_TRUE(cost.is_low());
}

TEST(WriteCost, BatchesThatWaitedForTheCpuNowAndThenDoNotCount) {
    WriteCost cost;
    for (int i = 0; i < 1000; ++i) {
        record(cost, microseconds{5}, 3);
        record(cost, microseconds{5000}, 1);
        EXPECT_TRUE(cost.is_low());
    }
}

TEST(WriteCost, BatchWithoutWritesSaysNothing) {
    WriteCost cost;
    record(cost, microseconds{70}, 1000);
    cost.record(microseconds{0}, 0);
    EXPECT_FALSE(cost.is_low());
}

}  // namespace
}  // namespace faultline::pager
