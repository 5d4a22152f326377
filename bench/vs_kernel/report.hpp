// Prints the tables of vs_kernel on standard output.
#pragma once

#include <cstdint>
#include <string>

#include "vs_kernel/options.hpp"
#include "vs_kernel/result.hpp"

namespace bench {

/// Returns a size such as "256 MiB".
std::string bytes_text(std::uint64_t bytes);

/// Prints what is run and the conditions, once above the tables. `of_peers` is whole lines, or empty.
void print_conditions(const Options& options, const std::string& of_peers);

/// Prints the tables of one pairing, and whether all pages held the right contents.
void print_pairing(const Pairing& pairing);

/// Print the head of a sweep's table, and its lines for one point: one per mode, and one for each system that failed.
void print_sweep_heading(const Options& options, const Pairing& pairing);
void print_sweep_point(const std::string& label, const Pairing& pairing);

}  // namespace bench
