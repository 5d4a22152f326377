// Limits that are larger than the machine's memory: each place that takes a limit lowers it with this function, and
// reports the warning in its own way.
#pragma once

#include <cstddef>
#include <string>

namespace faultline::sys {

/// Lowers a limit, in bytes, to the machine's memory if it is larger. Returns the warning about that, in which the
/// limit is called `name` ("Config::resident_limit"); empty if the limit stays. May throw std::bad_alloc.
[[nodiscard]] std::string lower_to_machine_memory(const char* name, std::size_t& bytes);

}  // namespace faultline::sys
