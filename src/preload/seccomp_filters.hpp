// Seccomp filters that a program put on itself before it began the next one. They stay, and may forbid what a heap
// needs (man's do: no userfaultfd, and no file may be opened for writing).
#pragma once

#include <string_view>

namespace faultline::preload {

/// Whether this process has more filters than the one that it is compared with: the command that runs the program,
/// where `status_file` is the path that it gave, else the parent. False where /proc does not tell.
[[nodiscard]] bool has_gained_seccomp_filter(std::string_view status_file) noexcept;

}  // namespace faultline::preload
