// The tables on standard output.
#pragma once

#include "vs_kernel/options.hpp"
#include "vs_kernel/result.hpp"

namespace bench {

/// What was run and under which conditions: once, above the tables.
void print_conditions(const Options& options);

/// The tables of one pairing and the line that says whether all pages were what they had to be.
void print_pairing(const Pairing& pairing);

}  // namespace bench
