// `faultline doctor`: reports what this machine allows and how to get more. Tests each item by trying it where
// possible.
#pragma once

#include "run/settings.hpp"
#include "tool/doctor/finding.hpp"
#include "tool/options.hpp"

#include <string>

namespace faultline::tool {

/// Prints the findings. Returns the exit code of the command.
[[nodiscard]] int doctor_command(const DoctorOptions& options, const run::Settings& settings);

// The checks, one file each. They leave nothing behind and throw nothing but std::bad_alloc.

/// machine.cpp: kernel, CPUs, memory, and the limit of a memory cgroup. `resident_limit`: what a program would get.
void look_at_machine(Findings& findings, std::size_t resident_limit);
/// faults.cpp: deliveries, userfaultfd, eviction methods, the return from the fault handler.
void look_at_faults(Findings& findings);
/// costs.cpp: what the calls that map and unmap a page take, in microseconds.
void look_at_costs(Findings& findings);
/// limits.cpp: the heap that a program with these settings would get, mappings, descriptors, file sizes.
void look_at_limits(Findings& findings, const run::Settings& settings);
/// storage.cpp: the directory of the swap file, and how the file is read and written.
void look_at_storage(Findings& findings, const std::string& swap_directory);

/// Returns the first word of a file such as /proc/sys/vm/overcommit_memory; empty if it cannot be read.
[[nodiscard]] std::string first_word_of(const std::string& file);

}  // namespace faultline::tool
