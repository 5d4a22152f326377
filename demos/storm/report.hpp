// What swap_storm measured, as a block for people and as JSON.
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
    std::size_t populated = 0;  ///< Pages.
    double populate_seconds = 0;
    PagerStats populate;  ///< What filling added.
    double storm_seconds = 0;
    PagerStats storm;  ///< What the storm added.
    Visits visits;
    double verify_seconds = 0;
    std::uint64_t resident_limit = 0;  ///< In bytes.
    std::uint64_t peak_resident = 0;   ///< Of the whole process, in bytes.
    std::uint64_t mismatches = 0;
};

/// Prints the block on standard output.
void print_report(const Results& results);

/// The same as one JSON object.
[[nodiscard]] std::string json_text(const Options& options, const Results& results);

}  // namespace faultline::demo::storm
