// The system's limits on addresses and memory: explains in words which of them may have refused a reservation. It reads
// the limits and changes none.
#pragma once

#include <string>

namespace faultline::sys {

/// Returns the limits that are set, each with its value and how to raise it. If none is set, returns what to check.
[[nodiscard]] std::string explain_address_limits();

/// Returns true if the kernel counts all memory that may be written against a limit, touched or not
/// (vm.overcommit_memory=2). Allocates nothing.
[[nodiscard]] bool commits_strictly() noexcept;

}  // namespace faultline::sys
