// The results as JSON: an array with one object per system and mode.
#pragma once

#include <ostream>
#include <vector>

#include "vs_kernel/options.hpp"
#include "vs_kernel/result.hpp"

namespace bench {

/// Figures are medians over the rounds; `ops_per_s_min` and `_max` give their spread. No string in it needs escaping:
/// all are names from this program. `paired_with` tells the several measurements of faultline apart.
void write_json(std::ostream& out, const Options& options, const std::vector<Pairing>& pairings);

}  // namespace bench
