// Results: what one trace came to under each policy, and the files they are written to.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "policy_replay/options.hpp"
#include "replay/contestants.hpp"

namespace bench {

struct TraceResult {
    std::string suite;  ///< Or "file".
    std::string trace;
    std::uint64_t seed = 0;  ///< 0 for files.
    std::size_t frames = 0;
    std::size_t pages = 0;
    std::uint64_t lost = 0;            ///< References missing in a file.
    std::vector<ReplayCounts> counts;  ///< In the order of `Results::policies`.
};

struct Results {
    std::vector<const Contestant*> policies;
    std::vector<TraceResult> traces;
};

/// Microseconds by what happens, under each of the two stores.
[[nodiscard]] CostModel file_costs(const Options& options) noexcept;
[[nodiscard]] CostModel compressed_costs(const Options& options) noexcept;

/// An array with one object per trace and policy.
void write_json(std::ostream& out, const Options& options, const Results& results);

/// A line of names, then one line per trace and policy; the same fields.
void write_csv(std::ostream& out, const Options& options, const Results& results);

}  // namespace bench
