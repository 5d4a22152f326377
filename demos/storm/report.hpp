// Formats the results of swap_storm, as a text block and as JSON.
#pragma once

#include "storm/options.hpp"
#include "storm/visitors.hpp"

#include <faultline/stats.hpp>
#include <faultline/types.hpp>

#include <cstddef>
#include <cstdint>
#include <string>

namespace faultline::demo::storm {

struct Results {
    std::size_t pages = 0;
    std::size_t page_size = 0;
    Delivery delivery{};
    Eviction eviction{};
    std::size_t populated = 0;  ///< Number of pages filled.
    double populate_seconds = 0;
    PagerStats populate;  ///< What the filling phase counted.
    double storm_seconds = 0;
    PagerStats storm;  ///< What the storm counted.
    Visits visits;
    double verify_seconds = 0;
    std::uint64_t resident_limit = 0;  ///< The limit, in bytes.
    std::uint64_t peak_resident = 0;   ///< Peak of the whole process, in bytes.
    std::uint64_t mismatches = 0;
};

/// Prints the results on standard output.
void print_report(const Results& results);

/// Returns the results as one JSON object.
[[nodiscard]] std::string json_text(const Options& options, const Results& results);

}  // namespace faultline::demo::storm
