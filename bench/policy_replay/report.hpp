// Prints the tables of policy_replay on standard output.
#pragma once

#include "policy_replay/results.hpp"

namespace bench {

/// Prints the conditions, once above the tables.
void print_conditions(const Options& options);

/// Prints the hit rates and the cost of paging with either store, one table each for all traces of a suite.
void print_suite(const Options& options, const Results& results);

}  // namespace bench
