// What the kernel reports about this process's physical memory: the proof that a resident limit is kept.
#pragma once

#include <cstdint>

namespace faultline::demo {

/// Returns the resident bytes now (VmRSS). Throws std::system_error if /proc/self/status does not have it.
[[nodiscard]] std::uint64_t resident_bytes();

/// Returns the peak of the resident bytes (VmHWM). Throws as above.
[[nodiscard]] std::uint64_t peak_resident_bytes();

}  // namespace faultline::demo
