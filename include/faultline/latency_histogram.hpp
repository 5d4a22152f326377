// LatencyHistogram: a log-linear histogram of durations, as a value. `Pager::stats` returns it, and benchmarks fill and
// print it. It is not the live counter that faults write to: that one is sharded by CPU inside the pager.
#pragma once

#include <faultline/language.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

namespace faultline {
inline namespace v0 {

/// Counts durations in nanoseconds, in buckets that are at most 1/16 as wide as their value (the layout of
/// HdrHistogram). Values above 68 s go to the last bucket. Not thread-safe.
class LatencyHistogram {
public:
    static constexpr unsigned kSubBucketBits = 4;  ///< Each octave has 2^4 buckets.
    static constexpr unsigned kOctaves = 33;       ///< Number of octaves (powers of two) that are told apart.
    static constexpr std::size_t kBuckets = std::size_t{kOctaves} << kSubBucketBits;  ///< Number of buckets.

    /// Returns the bucket that counts `value`, in nanoseconds; below `kBuckets`. Signal-safe.
    static constexpr std::size_t bucket_of(std::uint64_t value) noexcept {
        constexpr std::uint64_t sub_buckets = std::uint64_t{1} << kSubBucketBits;
        if (value < sub_buckets) return static_cast<std::size_t>(value);
        const unsigned top_bit = 63U - static_cast<unsigned>(__builtin_clzll(value));
        const unsigned octave = top_bit - kSubBucketBits;
        const std::size_t bucket =
            (std::size_t{octave + 1} << kSubBucketBits) + static_cast<std::size_t>((value >> octave) - sub_buckets);
        return bucket < kBuckets ? bucket : kBuckets - 1;
    }

    /// Returns the smallest value that `bucket` counts, in nanoseconds.
    static constexpr std::uint64_t lower_bound(std::size_t bucket) noexcept {
        constexpr std::uint64_t sub_buckets = std::uint64_t{1} << kSubBucketBits;
        if (bucket < sub_buckets) return bucket;
        const std::size_t octave = (bucket >> kSubBucketBits) - 1;
        return (sub_buckets + (bucket & (sub_buckets - 1))) << octave;
    }

    /// Counts a duration `times` times.
    void record(std::uint64_t nanoseconds, std::uint64_t times = 1) noexcept {
        counts_[bucket_of(nanoseconds)] += times;
        total_ += times;
    }

    /// Adds the counts of `other`.
    void merge(const LatencyHistogram& other) noexcept {
        for (std::size_t i = 0; i < kBuckets; ++i) counts_[i] += other.counts_[i];
        total_ += other.total_;
    }

    /// Returns the number of durations counted.
    [[nodiscard]] std::uint64_t count() const noexcept { return total_; }

    /// Returns the number of durations that `bucket` (below `kBuckets`) counted.
    [[nodiscard]] std::uint64_t count_in(std::size_t bucket) const noexcept { return counts_[bucket]; }

    /// Returns the duration in nanoseconds that `fraction` (0 to 1) of the counted durations do not exceed, exact to a
    /// bucket (6%); 0 if nothing was counted.
    [[nodiscard]] std::uint64_t quantile(double fraction) const noexcept {
        if (total_ == 0) return 0;
        const double wanted = fraction * static_cast<double>(total_);
        std::uint64_t seen = 0;
        std::size_t last = 0;
        for (std::size_t i = 0; i < kBuckets; ++i) {
            if (counts_[i] == 0) continue;
            seen += counts_[i];
            last = i;
            if (static_cast<double>(seen) >= wanted) break;
        }
        return lower_bound(last);
    }

private:
    std::array<std::uint64_t, kBuckets> counts_{};
    std::uint64_t total_ = 0;
};

}  // namespace v0
}  // namespace faultline
