// Results: what one trace counted under each policy. Functions that write results to files.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "policy_replay/options.hpp"
#include "replay/contestants.hpp"

namespace bench {

struct TraceResult {
    std::string suite;  ///< The suite's name, or "file".
    std::string trace;
    std::uint64_t seed = 0;  ///< The suite's seed; 0 for files.
    std::size_t frames = 0;
    std::size_t pages = 0;
    std::uint64_t lost = 0;            ///< References missing in a file.
    std::vector<ReplayCounts> counts;  ///< Counts in the order of `Results::policies`.
};

struct Results {
    std::vector<const Contestant*> policies;
    std::vector<TraceResult> traces;
};

/// Costs in microseconds of the events of paging, for each of the two stores.
[[nodiscard]] CostModel file_costs(const Options& options) noexcept;
[[nodiscard]] CostModel compressed_costs(const Options& options) noexcept;

/// Writes a JSON array with one object per trace and policy.
void write_json(std::ostream& out, const Options& options, const Results& results);

/// Writes a line of field names, then one line per trace and policy, with the same fields.
void write_csv(std::ostream& out, const Options& options, const Results& results);

}  // namespace bench
