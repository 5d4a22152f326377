// Detects seccomp filters that a program installed before it started this one. They stay, and may forbid what a heap
// needs (man's filters forbid userfaultfd and opening any file for writing).
// It does not read the filters, only their number. Called by start.cpp when the heap cannot be made.
#pragma once

#include <string_view>

namespace faultline::preload {

/// Returns true if this process has more filters than the command that runs the program, which `status_file` names;
/// without a status file, more than the parent. Returns false if /proc does not tell.
[[nodiscard]] bool has_gained_seccomp_filter(std::string_view status_file) noexcept;

}  // namespace faultline::preload
