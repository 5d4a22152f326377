// What the kernel says this process holds in physical memory: the proof that a resident limit is kept.
#pragma once

#include <cstdint>

namespace faultline::demo {

/// Bytes resident now (VmRSS). Throws std::system_error when /proc/self/status does not say.
[[nodiscard]] std::uint64_t resident_bytes();

/// The most bytes ever resident (VmHWM). Throws as above.
[[nodiscard]] std::uint64_t peak_resident_bytes();

}  // namespace faultline::demo
