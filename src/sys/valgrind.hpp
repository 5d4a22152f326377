// Whether the process runs under valgrind, which simulates the CPU: its faults are not the kernel's, and its signals
// come late. Only x86-64 has the question below.
#pragma once

namespace faultline::sys {

/// Asks by an instruction sequence that does nothing on a CPU and that valgrind knows (its RUNNING_ON_VALGRIND; the
/// sequence is part of valgrind's interface, which programs compile in, and does not change).
[[nodiscard]] bool runs_under_valgrind() noexcept;

}  // namespace faultline::sys
