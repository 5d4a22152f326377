// ReadAhead: whole walks as the pager makes them, counting which faults they cost.
#include "policy/read_ahead.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <vector>

namespace faultline::test {
namespace {

using policy::ReadAhead;

constexpr std::uint32_t kLongest = ReadAhead::kLongestWindow;

/// A thread that walks upwards and faults on every page that no window has brought along.
class Walk {
public:
    explicit Walk(std::uint64_t first) : next_{first} {}

    /// The next fault of the walk; returns the pages that come along.
    std::uint32_t fault(ReadAhead& read_ahead) {
        const std::uint32_t more = read_ahead.pages_after(next_);
        next_ += more + 1;
        return more;
    }
    void skip(std::uint64_t pages) { next_ += pages; }

private:
    std::uint64_t next_;
};

TEST(ReadAhead, DoublesTheWindowOfAStreamUpToTheLongest) {
    ReadAhead read_ahead;
    Walk walk{1000};
    for (std::uint32_t window = 1; window < kLongest; window *= 2) EXPECT_EQ(walk.fault(read_ahead), window - 1);
    for (int i = 0; i < 100; ++i) EXPECT_EQ(walk.fault(read_ahead), kLongest - 1);
}

TEST(ReadAhead, StartsAnywhereIncludingPageZero) {
    for (std::uint64_t first : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1} << 40}) {
        ReadAhead read_ahead;
        Walk walk{first};
        EXPECT_EQ(walk.fault(read_ahead), 0U) << "from page " << first;
        EXPECT_EQ(walk.fault(read_ahead), 1U) << "from page " << first;
    }
}

TEST(ReadAhead, BringsNothingAlongForTheFirstFaultOfAProcess) {
    for (std::uint64_t page = 0; page < 8; ++page) {
        ReadAhead read_ahead;
        EXPECT_EQ(read_ahead.pages_after(page), 0U) << "page " << page;
    }
}

TEST(ReadAhead, FollowsAStreamAcrossPagesThatWereResident) {
    for (std::uint64_t resident : {std::uint64_t{1}, std::uint64_t{4}, std::uint64_t{kLongest}}) {
        ReadAhead read_ahead;
        Walk walk{0};
        walk.fault(read_ahead);
        walk.fault(read_ahead);
        walk.skip(resident);
        EXPECT_EQ(walk.fault(read_ahead), 3U) << "after " << resident << " pages";
    }
}

TEST(ReadAhead, TakesAFaultFarAheadForANewStream) {
    ReadAhead read_ahead;
    Walk walk{0};
    walk.fault(read_ahead);
    walk.fault(read_ahead);
    walk.skip(4 * kLongest);
    EXPECT_EQ(walk.fault(read_ahead), 0U);
}

TEST(ReadAhead, FollowsSixteenStreamsAtOnce) {
    ReadAhead read_ahead;
    std::vector<Walk> walks;
    for (std::uint64_t stream = 0; stream < 16; ++stream) walks.emplace_back(stream << 20);
    for (std::uint32_t window = 1; window <= kLongest; window *= 2) {
        for (Walk& walk : walks) ASSERT_EQ(walk.fault(read_ahead), window - 1);
    }
}

TEST(ReadAhead, GivesANewStreamThePlaceOfTheOneUsedLongestAgo) {
    ReadAhead read_ahead;
    std::vector<Walk> walks;
    for (std::uint64_t stream = 0; stream < 16; ++stream) walks.emplace_back(stream << 20);
    for (int i = 0; i < 3; ++i) {
        for (Walk& walk : walks) walk.fault(read_ahead);
    }
    Walk newcomer{std::uint64_t{99} << 20};
    EXPECT_EQ(newcomer.fault(read_ahead), 0U);
    EXPECT_EQ(newcomer.fault(read_ahead), 1U);
    for (std::size_t stream = 15; stream > 0; --stream) EXPECT_EQ(walks[stream].fault(read_ahead), 7U);
    EXPECT_EQ(walks[0].fault(read_ahead), 0U) << "the oldest stream was forgotten";
}

TEST(ReadAhead, StreamSurvivesRandomFaultsBetweenItsOwn) {
    constexpr std::uint64_t kSeed = 5;
    RecordProperty("seed", std::to_string(kSeed));
    std::mt19937_64 random{kSeed};
    ReadAhead read_ahead;
    Walk walk{std::uint64_t{1} << 50};
    std::uint32_t window = 0;
    for (int i = 0; i < 10; ++i) {
        window = walk.fault(read_ahead) + 1;
        for (int other = 0; other < 10; ++other) static_cast<void>(read_ahead.pages_after(random() >> 20));
    }
    EXPECT_EQ(window, kLongest);
}

TEST(ReadAhead, RandomFaultsBringNearlyNothingAlong) {
    constexpr std::uint64_t kSeed = 6;
    constexpr std::uint64_t kFaults = 100'000;
    RecordProperty("seed", std::to_string(kSeed));
    std::mt19937_64 random{kSeed};
    ReadAhead read_ahead;
    std::uint64_t more = 0;
    for (std::uint64_t i = 0; i < kFaults; ++i) more += read_ahead.pages_after(random() % (std::uint64_t{1} << 22));
    EXPECT_LT(more, kFaults / 100);
}

TEST(ReadAhead, RepeatedFaultsOnOnePageBringNothingAlong) {
    ReadAhead read_ahead;
    std::uint32_t more = 0;
    for (int i = 0; i < 100; ++i) more += read_ahead.pages_after(77);
    EXPECT_EQ(more, 0U);
}

TEST(ReadAhead, WalkDownwardsBringsNothingAlong) {
    ReadAhead read_ahead;
    std::uint32_t more = 0;
    for (std::uint64_t page = 10'000; page > 0; --page) more += read_ahead.pages_after(page);
    EXPECT_EQ(more, 0U);
}

TEST(ReadAhead, NeverExceedsTheLongestWindow) {
    constexpr std::uint64_t kSeed = 8;
    RecordProperty("seed", std::to_string(kSeed));
    std::mt19937_64 random{kSeed};
    ReadAhead read_ahead;
    for (int i = 0; i < 100'000; ++i) ASSERT_LT(read_ahead.pages_after(random() % 200), kLongest);
}

}  // namespace
}  // namespace faultline::test
