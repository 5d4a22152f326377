// What is measured, as values, and the median of several rounds.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "vs_kernel/mode.hpp"
#include "vs_kernel/workload.hpp"

namespace bench {

/// One round of one mode on one system.
struct Round {
    double ops_per_s = 0;
    double p50_us = 0;
    double p99_us = 0;
    double p999_us = 0;
    double hard_faults = 0;
    double soft_faults = 0;
    double operations = 0;
    double cpu_s = 0;                  ///< User and system time of all the process's threads.
    std::uint64_t peak_rss_bytes = 0;  ///< Since the process began.
};

struct ModeResult {
    Mode mode;
    std::vector<Round> rounds;
};

/// Everything about one system in one pairing.
struct SystemResult {
    std::string name;      ///< faultline, swap, zram, mmap.
    std::string store;     ///< file, compressed.
    std::string delivery;  ///< uffd_signal, uffd_threads, sigsegv, kernel.
    std::string description;
    std::vector<ModeResult> modes;
    double populate_us_per_page = 0;
    Verification verification;
    std::uint64_t memory_beside = 0;  ///< Bytes outside the limit (zram's pool) after populating.
    unsigned restarts = 0;            ///< Times the kernel killed it and it began anew.
    std::string failure;              ///< Why it did not finish; empty when it did.
};

/// Two systems whose rounds alternated; `theirs` is empty where faultline ran alone.
struct Pairing {
    SystemResult ours;
    std::vector<SystemResult> theirs;  // none or one
};

/// The middle of `values`, the mean of the two in the middle, 0 of none.
inline double median(std::vector<double> values) {
    if (values.empty()) return 0;
    std::sort(values.begin(), values.end());
    const std::size_t half = values.size() / 2;
    return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

/// One figure of all rounds: `figures(rounds, &Round::p50_us)`.
inline std::vector<double> figures(const std::vector<Round>& rounds, double Round::*figure) {
    std::vector<double> values;
    for (const Round& round : rounds) values.push_back(round.*figure);
    return values;
}

inline double median_of(const std::vector<Round>& rounds, double Round::*figure) {
    return median(figures(rounds, figure));
}

/// Half the distance between the fastest and the slowest round, as part of the median.
inline double spread_of(const std::vector<Round>& rounds, double Round::*figure) {
    const std::vector<double> values = figures(rounds, figure);
    const double middle = median(values);
    if (values.empty() || middle == 0) return 0;
    const auto [low, high] = std::minmax_element(values.begin(), values.end());
    return (*high - *low) / 2 / middle;
}

inline std::uint64_t peak_rss_of(const std::vector<Round>& rounds) {
    std::uint64_t peak = 0;
    for (const Round& round : rounds) peak = std::max(peak, round.peak_rss_bytes);
    return peak;
}

}  // namespace bench
