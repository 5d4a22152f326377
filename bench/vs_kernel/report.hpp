// The tables on standard output.
#pragma once

#include <cstdint>
#include <string>

#include "vs_kernel/options.hpp"
#include "vs_kernel/result.hpp"

namespace bench {

/// "256 MiB".
std::string bytes_text(std::uint64_t bytes);

/// What was run and under which conditions: once, above the tables. `of_peers` is whole lines, or nothing.
void print_conditions(const Options& options, const std::string& of_peers);

/// The tables of one pairing and the line that says whether all pages were what they had to be.
void print_pairing(const Pairing& pairing);

/// The head of a sweep's table, and its lines for one point: one per mode, and one for each system that failed.
void print_sweep_heading(const Options& options, const Pairing& pairing);
void print_sweep_point(const std::string& label, const Pairing& pairing);

}  // namespace bench
