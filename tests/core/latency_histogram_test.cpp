// LatencyHistogram against a sorted array of the same durations.
#include <faultline/latency_histogram.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace faultline::test {
namespace {

constexpr std::uint64_t kSeed = 20240611;

using Durations = std::vector<std::uint64_t>;

/// Durations from 1 ns to about half a minute, evenly spread over the orders of magnitude.
Durations random_durations(std::size_t count) {
    std::mt19937_64 random{kSeed};
    testing::Test::RecordProperty("seed", std::to_string(kSeed));
    std::uniform_real_distribution<double> exponent{0.0, 35.0};
    Durations durations(count);
    for (std::uint64_t& duration : durations) duration = static_cast<std::uint64_t>(std::exp2(exponent(random)));
    return durations;
}

LatencyHistogram histogram_of(const Durations& durations) {
    LatencyHistogram histogram;
    for (std::uint64_t duration : durations) histogram.record(duration);
    return histogram;
}

/// Returns the smallest duration that `fraction` of all durations do not exceed.
std::uint64_t quantile_of(const Durations& sorted, double fraction) {
    const double wanted = fraction * static_cast<double>(sorted.size());
    const double rank = std::max(std::ceil(wanted), 1.0);
    return sorted[static_cast<std::size_t>(rank) - 1];
}

TEST(LatencyHistogram, LowerBoundIsTheFirstValueOfItsBucket) {
    for (std::size_t bucket = 0; bucket < LatencyHistogram::kBuckets; ++bucket) {
        const std::uint64_t first = LatencyHistogram::lower_bound(bucket);
        ASSERT_EQ(LatencyHistogram::bucket_of(first), bucket);
        if (bucket == 0) continue;
        ASSERT_EQ(LatencyHistogram::bucket_of(first - 1), bucket - 1) << "just below " << first;
    }
}

TEST(LatencyHistogram, BucketsAreNoWiderThanASixteenthOfTheirValue) {
    for (std::size_t bucket = 16; bucket + 1 < LatencyHistogram::kBuckets; ++bucket) {
        const std::uint64_t first = LatencyHistogram::lower_bound(bucket);
        ASSERT_LE((LatencyHistogram::lower_bound(bucket + 1) - first) * 16, first) << "bucket " << bucket;
    }
    for (std::size_t bucket = 0; bucket < 16; ++bucket) ASSERT_EQ(LatencyHistogram::lower_bound(bucket), bucket);
}

TEST(LatencyHistogram, TooLongDurationsLandInTheLastBucket) {
    constexpr std::uint64_t kSecond = 1'000'000'000;
    constexpr std::size_t kLast = LatencyHistogram::kBuckets - 1;
    EXPECT_EQ(LatencyHistogram::bucket_of(69 * kSecond), kLast);
    EXPECT_EQ(LatencyHistogram::bucket_of(std::uint64_t{1} << 40), kLast);
    EXPECT_EQ(LatencyHistogram::bucket_of(std::numeric_limits<std::uint64_t>::max()), kLast);
    EXPECT_LT(LatencyHistogram::bucket_of(60 * kSecond), kLast);
}

TEST(LatencyHistogram, AnEmptyHistogramHasNoQuantiles) {
    const LatencyHistogram histogram;
    EXPECT_EQ(histogram.count(), 0U);
    for (double fraction : {0.0, 0.5, 1.0}) EXPECT_EQ(histogram.quantile(fraction), 0U);
}

TEST(LatencyHistogram, QuantilesEqualThoseOfTheSortedArrayToWithinABucket) {
    for (std::size_t count : {std::size_t{1}, std::size_t{2}, std::size_t{100}, std::size_t{100'000}}) {
        Durations durations = random_durations(count);
        const LatencyHistogram histogram = histogram_of(durations);
        std::sort(durations.begin(), durations.end());
        for (double fraction : {0.0, 0.001, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1.0}) {
            const std::uint64_t exact = quantile_of(durations, fraction);
            EXPECT_EQ(histogram.quantile(fraction), LatencyHistogram::lower_bound(LatencyHistogram::bucket_of(exact)))
                << fraction << " of " << count << " durations is " << exact;
        }
    }
}

TEST(LatencyHistogram, CountsWhatItRecords) {
    LatencyHistogram histogram;
    histogram.record(5);
    histogram.record(1000, 3);
    histogram.record(1'000'000, 0);
    EXPECT_EQ(histogram.count(), 4U);
    EXPECT_EQ(histogram.count_in(LatencyHistogram::bucket_of(5)), 1U);
    EXPECT_EQ(histogram.count_in(LatencyHistogram::bucket_of(1000)), 3U);
    EXPECT_EQ(histogram.count_in(LatencyHistogram::bucket_of(1'000'000)), 0U);
}

TEST(LatencyHistogram, RecordingManyAtOnceIsRecordingEach) {
    LatencyHistogram at_once;
    LatencyHistogram each;
    at_once.record(777, 1000);
    for (int i = 0; i < 1000; ++i) each.record(777);
    EXPECT_EQ(at_once.count(), each.count());
    EXPECT_EQ(at_once.quantile(0.5), each.quantile(0.5));
}

TEST(LatencyHistogram, MergingEqualsRecordingAllInOneHistogram) {
    const Durations durations = random_durations(10'000);
    const Durations some(durations.begin(), durations.begin() + 3'000);
    const Durations others(durations.begin() + 3'000, durations.end());
    LatencyHistogram merged = histogram_of(some);
    merged.merge(histogram_of(others));
    const LatencyHistogram whole = histogram_of(durations);
    EXPECT_EQ(merged.count(), whole.count());
    for (std::size_t bucket = 0; bucket < LatencyHistogram::kBuckets; ++bucket) {
        ASSERT_EQ(merged.count_in(bucket), whole.count_in(bucket));
    }
}

TEST(LatencyHistogram, MergingNothingChangesNothing) {
    LatencyHistogram histogram = histogram_of(random_durations(100));
    const std::uint64_t median = histogram.quantile(0.5);
    histogram.merge({});
    EXPECT_EQ(histogram.count(), 100U);
    EXPECT_EQ(histogram.quantile(0.5), median);
}

}  // namespace
}  // namespace faultline::test
