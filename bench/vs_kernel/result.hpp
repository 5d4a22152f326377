// Results as values, and the median of several rounds.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "vs_kernel/mode.hpp"
#include "vs_kernel/workload.hpp"

namespace bench {

/// The number of latency quantiles that a round keeps: p1 to p99 in steps of 1, to p99.9 in steps of 0.1, to p99.99 in
/// steps of 0.01.
inline constexpr std::size_t kQuantiles = 99 + 9 + 9;

/// Returns the fraction of the touches that quantile `index` (below `kQuantiles`) covers: 0.01 to 0.9999.
constexpr double quantile_fraction(std::size_t index) noexcept {
    const auto steps = static_cast<double>(index + 1);
    if (index < 99) return steps / 100;
    if (index < 108) return 0.99 + (steps - 99) / 1000;
    return 0.999 + (steps - 108) / 10000;
}

/// One round of one mode on one system.
struct Round {
    double ops_per_s = 0;
    double p50_us = 0;
    double p99_us = 0;
    double p999_us = 0;
    double hard_faults = 0;
    double soft_faults = 0;
    double operations = 0;
    double cpu_s = 0;                             ///< User and system time of all the process's threads.
    double cpu_s_per_million_faults = 0;          ///< Hard and soft faults together; 0 without faults.
    std::array<double, kQuantiles> latency_us{};  ///< See `quantile_fraction`.
    std::uint64_t peak_rss_bytes = 0;             ///< Since the process began.
};

struct ModeResult {
    Mode mode;
    std::vector<Round> rounds;
};

/// The results of one system in one pairing.
struct SystemResult {
    std::string name;      ///< faultline, swap, zram, mmap, umap.
    std::string store;     ///< file, compressed.
    std::string delivery;  ///< uffd_signal, uffd_threads, sigsegv, kernel.
    std::string description;
    std::size_t page_bytes = 0;     ///< Bytes that one fault reads.
    std::vector<ModeResult> modes;  ///< `kPopulate` first, with one round.
    Verification verification;
    std::uint64_t memory_beside = 0;  ///< Bytes outside the limit (zram's pool) after populating.
    unsigned restarts = 0;            ///< How often the kernel killed it and it was restarted.
    std::string failure;              ///< Why it did not finish; empty if it did.
};

/// The results of two systems whose rounds alternated; `theirs` is empty if faultline ran alone.
struct Pairing {
    SystemResult ours;
    std::vector<SystemResult> theirs;  // zero or one
};

/// Returns the median of `values`, the mean of the middle two for an even number, 0 for none.
inline double median(std::vector<double> values) {
    if (values.empty()) return 0;
    std::sort(values.begin(), values.end());
    const std::size_t half = values.size() / 2;
    return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

/// Returns the median of one figure over all rounds: `figures(rounds, &Round::p50_us)`.
inline std::vector<double> figures(const std::vector<Round>& rounds, double Round::*figure) {
    std::vector<double> values;
    for (const Round& round : rounds) values.push_back(round.*figure);
    return values;
}

inline double median_of(const std::vector<Round>& rounds, double Round::*figure) {
    return median(figures(rounds, figure));
}

/// Returns half the distance between the fastest and the slowest round, as a fraction of the median.
inline double spread_of(const std::vector<Round>& rounds, double Round::*figure) {
    const std::vector<double> values = figures(rounds, figure);
    const double middle = median(values);
    if (values.empty() || middle == 0) return 0;
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    return (*high - *low) / 2 / middle;
}

/// Returns the median over the rounds for each latency quantile.
inline std::array<double, kQuantiles> latency_quantiles_of(const std::vector<Round>& rounds) {
    std::array<double, kQuantiles> medians{};
    for (std::size_t i = 0; i < kQuantiles; ++i) {
        std::vector<double> values;
        for (const Round& round : rounds) values.push_back(round.latency_us[i]);
        medians[i] = median(std::move(values));
    }
    return medians;
}

inline std::uint64_t peak_rss_of(const std::vector<Round>& rounds) {
    std::uint64_t peak = 0;
    for (const Round& round : rounds) peak = std::max(peak, round.peak_rss_bytes);
    return peak;
}

}  // namespace bench
