// Counters and LatencyRecorder: sharded, but every event is counted exactly once.
#include "pager/region/counters.hpp"
#include "pager/region/latency_recorder.hpp"

#include "pager_parts/threads.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

namespace faultline::test {
namespace {

using core::PageState;
using core::PageWord;
using pager::Count;
using pager::Counters;
using pager::FaultKind;
using pager::LatencyRecorder;

constexpr unsigned kRecordingThreads = 8;
constexpr std::int64_t kRecordedRounds = 10'000;

TEST(Counters, SumOverAllThreads) {
    const Counters counters;
    run_threads(kRecordingThreads, [&](unsigned thread) {
        for (std::int64_t round = 0; round < kRecordedRounds; ++round) {
            counters.add(Count::hard_faults);
            counters.add(Count::bytes_read, 4096);
            counters.add(Count::resident, thread % 2 == 0 ? 1 : -1);
        }
    });
    EXPECT_EQ(counters.sum(Count::hard_faults), kRecordingThreads * kRecordedRounds);
    EXPECT_EQ(counters.sum(Count::bytes_read), kRecordingThreads * kRecordedRounds * 4096);
    EXPECT_EQ(counters.sum(Count::resident), 0);
    EXPECT_EQ(counters.sum(Count::soft_faults), 0) << "never touched";
}

/// Returns the gauges of a page with this word.
struct Gauges {
    std::int64_t resident = 0;
    std::int64_t dirty = 0;
    std::int64_t staged = 0;
    std::int64_t swapped = 0;
    std::int64_t pinned = 0;

    void add(PageWord word) {
        resident += word.is(PageState::resident) || word.is(PageState::evicting) ? 1 : 0;
        dirty += word.dirty() ? 1 : 0;
        staged += word.is(PageState::staged) ? 1 : 0;
        swapped += word.is(PageState::stored) ? 1 : 0;
        // A page pinned through a view is empty in the view: the pin does not count there.
        pinned += word.pins() > 0 && !word.is(PageState::empty) ? 1 : 0;
    }
};

TEST(Counters, GaugesFollowEveryChangeOfAWord) {
    constexpr std::uint64_t kSeed = 12;
    RecordProperty("seed", std::to_string(kSeed));
    std::mt19937_64 random{kSeed};
    const Counters counters;
    std::vector<PageWord> words(50);
    for (int step = 0; step < 20'000; ++step) {
        PageWord& word = words[random() % words.size()];
        const std::uint64_t state = random() % 7;
        const PageWord next{state | (random() % 2) << 3 | (random() % 3) << 10};
        counters.account(word, next);
        word = next;
    }
    Gauges expected;
    for (PageWord word : words) expected.add(word);
    EXPECT_EQ(counters.sum(Count::resident), expected.resident);
    EXPECT_EQ(counters.sum(Count::dirty), expected.dirty);
    EXPECT_EQ(counters.sum(Count::staged), expected.staged);
    EXPECT_EQ(counters.sum(Count::swapped), expected.swapped);
    EXPECT_EQ(counters.sum(Count::pinned), expected.pinned);
}

TEST(Counters, StatsNameEveryFigure) {
    constexpr std::uint64_t kPageBytes = 64 << 10;
    const Counters counters;
    for (std::int64_t kind = 0; kind < static_cast<std::int64_t>(Count::kinds); ++kind) {
        counters.add(static_cast<Count>(kind), 100 + kind);
    }
    const auto count = [](Count kind) { return std::uint64_t{100} + static_cast<std::uint64_t>(kind); };
    const RegionStats stats = region_stats(counters, kPageBytes);
    EXPECT_EQ(stats.first_touches, count(Count::first_touches));
    EXPECT_EQ(stats.hard_faults, count(Count::hard_faults));
    EXPECT_EQ(stats.soft_faults, count(Count::soft_faults));
    EXPECT_EQ(stats.write_faults, count(Count::write_faults));
    EXPECT_EQ(stats.failed_faults, count(Count::failed_faults));
    EXPECT_EQ(stats.evictions, count(Count::evictions));
    EXPECT_EQ(stats.clean_evictions, count(Count::clean_evictions));
    EXPECT_EQ(stats.pages_read_ahead, count(Count::read_ahead));
    EXPECT_EQ(stats.bytes_read, count(Count::bytes_read));
    EXPECT_EQ(stats.bytes_written, count(Count::bytes_written));
    EXPECT_EQ(stats.read_errors, count(Count::read_errors));
    EXPECT_EQ(stats.write_errors, count(Count::write_errors));
    EXPECT_EQ(stats.resident_bytes, count(Count::resident) * kPageBytes);
    EXPECT_EQ(stats.dirty_bytes, count(Count::dirty) * kPageBytes);
    EXPECT_EQ(stats.staged_bytes, count(Count::staged) * kPageBytes);
    EXPECT_EQ(stats.swapped_bytes, count(Count::swapped) * kPageBytes);
    EXPECT_EQ(stats.pinned_bytes, count(Count::pinned) * kPageBytes);
}

TEST(Counters, AGaugeReadHalfwayIsNotAHugeNumber) {
    const Counters counters;
    counters.add(Count::resident, -1);
    EXPECT_EQ(region_stats(counters, 4096).resident_bytes, 0U);
}

// RegionStats consists of figures only, so this finds a new one that += forgets.
TEST(RegionStats, AddEveryFigure) {
    static_assert(std::is_trivially_copyable_v<RegionStats>);
    constexpr std::size_t kFigures = sizeof(RegionStats) / sizeof(std::uint64_t);
    std::uint64_t figures[kFigures];
    for (std::size_t i = 0; i < kFigures; ++i) figures[i] = i + 1;
    RegionStats stats;
    std::memcpy(&stats, figures, sizeof stats);
    stats += RegionStats{stats};
    std::memcpy(figures, &stats, sizeof stats);
    for (std::size_t i = 0; i < kFigures; ++i) EXPECT_EQ(figures[i], 2 * (i + 1)) << "figure " << i;
}

TEST(LatencyRecorder, CountsEachKindForItself) {
    const LatencyRecorder recorder;
    for (int i = 0; i < 3; ++i) recorder.record(FaultKind::first_touch, 100);
    for (int i = 0; i < 5; ++i) recorder.record(FaultKind::hard, 100'000);
    for (int i = 0; i < 7; ++i) recorder.record(FaultKind::soft, 1000);
    recorder.record(FaultKind::write, 1000);
    recorder.record(FaultKind::none, 1000);
    EXPECT_EQ(recorder.read(FaultKind::first_touch).count(), 3U);
    EXPECT_EQ(recorder.read(FaultKind::hard).count(), 5U);
    EXPECT_EQ(recorder.read(FaultKind::soft).count(), 7U);
    EXPECT_EQ(recorder.read(FaultKind::write).count(), 1U);
}

TEST(LatencyRecorder, SumsOverAllThreads) {
    const LatencyRecorder recorder;
    run_threads(kRecordingThreads, [&](unsigned thread) {
        for (std::int64_t round = 0; round < kRecordedRounds; ++round) {
            recorder.record(FaultKind::soft, std::uint64_t{1} << (thread + 5));
        }
    });
    EXPECT_EQ(recorder.read(FaultKind::soft).count(), static_cast<std::uint64_t>(kRecordingThreads * kRecordedRounds));
}

TEST(LatencyRecorder, KeepsTheOrderOfDurations) {
    const LatencyRecorder recorder;
    for (unsigned bit = 10; bit < 30; ++bit) recorder.record(FaultKind::hard, std::uint64_t{1} << bit);
    const LatencyHistogram read = recorder.read(FaultKind::hard);
    std::uint64_t last = 0;
    for (int twentieth = 1; twentieth <= 20; ++twentieth) {
        const std::uint64_t duration = read.quantile(twentieth / 20.0);
        EXPECT_GT(duration, last);
        last = duration;
    }
}

TEST(LatencyRecorder, SurvivesAnyDuration) {
    const LatencyRecorder recorder;
    recorder.record(FaultKind::hard, 0);
    recorder.record(FaultKind::hard, ~std::uint64_t{0});
    EXPECT_EQ(recorder.read(FaultKind::hard).count(), 2U);
}

}  // namespace
}  // namespace faultline::test
