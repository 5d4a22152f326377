// Throws std::system_error with a message that names the object and the remedy. For set-up and control calls of all
// folders. The fault path returns an errno instead: it must not throw.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace faultline::sys {

/// Throws std::system_error for `error` (an errno). `what` says which object failed and what to do.
[[noreturn]] void throw_error(int error, std::string_view what);

/// Returns a size for messages, such as "64.0 MiB".
std::string readable_bytes(std::uint64_t bytes);

}  // namespace faultline::sys
