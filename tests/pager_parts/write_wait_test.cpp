#include "pager/frame/write_wait.hpp"

#include <gtest/gtest.h>

#include <chrono>

namespace faultline::pager {
namespace {

using std::chrono::microseconds;
using std::chrono::nanoseconds;

void record(WriteWait& wait, nanoseconds per_page, int batches) {
    constexpr std::size_t kPages = 32;
    for (int i = 0; i < batches; ++i) wait.record(per_page * kPages, kPages);
}

TEST(WriteWait, IsShortUntilWritesAreSeen) { EXPECT_TRUE(WriteWait{}.is_short()); }

TEST(WriteWait, StaysShortWithAStoreThatComputes) {
    WriteWait wait;
    record(wait, nanoseconds{20}, 10'000);
    EXPECT_TRUE(wait.is_short());
}

TEST(WriteWait, IsLongSoonWithADisk) {
    WriteWait wait;
    record(wait, microseconds{3}, 50);
    EXPECT_FALSE(wait.is_short());
}

TEST(WriteWait, FollowsAStoreThatWaitsNoMore) {
    WriteWait wait;
    record(wait, microseconds{70}, 1000);
    record(wait, nanoseconds{100}, 100);
    EXPECT_TRUE(wait.is_short());
}

TEST(WriteWait, BatchesThatLostTheirCpuNowAndThenDoNotCount) {
    WriteWait wait;
    for (int i = 0; i < 1000; ++i) {
        record(wait, nanoseconds{20}, 3);
        record(wait, microseconds{5000}, 1);
        EXPECT_TRUE(wait.is_short());
    }
}

TEST(WriteWait, BatchWithoutWritesSaysNothing) {
    WriteWait wait;
    record(wait, microseconds{70}, 1000);
    wait.record(microseconds{0}, 0);
    EXPECT_FALSE(wait.is_short());
}

}  // namespace
}  // namespace faultline::pager
