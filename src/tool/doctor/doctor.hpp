// `faultline doctor`: what this machine allows, each thing tried out where that can be done, and how to get more.
#pragma once

#include "run/settings.hpp"
#include "tool/doctor/finding.hpp"
#include "tool/options.hpp"

#include <string>

namespace faultline::tool {

/// Prints what it finds. Returns what the command returns to the shell.
[[nodiscard]] int doctor_command(const DoctorOptions& options, const run::Settings& settings);

// What there is to look at, each by its file. Nothing is left behind, and nothing throws but std::bad_alloc.

/// machine.cpp: kernel, CPUs, memory, the limit of a memory cgroup; `resident_limit` is what a program would get.
void look_at_machine(Findings& findings, std::size_t resident_limit);
/// faults.cpp: deliveries, userfaultfd, how pages leave.
void look_at_faults(Findings& findings);
/// limits.cpp: the heap that a program with these settings would get, mappings, descriptors, sizes of files.
void look_at_limits(Findings& findings, const run::Settings& settings);
/// storage.cpp: the directory of the swap file, and how it is read and written.
void look_at_storage(Findings& findings, const std::string& swap_directory);

/// The first word of a file such as /proc/sys/vm/overcommit_memory; empty when it cannot be read.
[[nodiscard]] std::string first_word_of(const std::string& file);

}  // namespace faultline::tool
