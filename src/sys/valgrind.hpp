// Detects valgrind, which simulates the CPU: its faults are not the kernel's, and its signals come late. The pager
// refuses to start there. x86-64 only.
#pragma once

namespace faultline::sys {

/// Asks with an instruction sequence that has no effect on a CPU and that valgrind recognises (RUNNING_ON_VALGRIND).
/// The sequence is part of valgrind's stable interface, which programs compile in.
[[nodiscard]] bool runs_under_valgrind() noexcept;

}  // namespace faultline::sys
