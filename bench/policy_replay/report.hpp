// The tables on standard output.
#pragma once

#include "policy_replay/results.hpp"

namespace bench {

/// Under which conditions: once, above the tables.
void print_conditions(const Options& options);

/// Hit rates, and what paging costs with either store; one table each for all traces of a suite.
void print_suite(const Options& options, const Results& results);

}  // namespace bench
