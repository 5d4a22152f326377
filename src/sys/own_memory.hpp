// Copies memory of the own process that may not be accessible: absent, protected or not mapped. The kernel copies, so
// no access faults. For signal handlers that look at a stack of which they know only the stack pointer.
#pragma once

#include "core/signal_safe.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace faultline::sys {

/// The most bytes that one call copies.
inline constexpr std::size_t kMostCopied = std::size_t{16} << 10;

/// Copies bytes from `address` on to `to`, up to the first page that cannot be read, and at most kMostCopied. Returns
/// the number of bytes copied: 0 also where the kernel or a filter refuses process_vm_readv(2). Signal-safe.
[[nodiscard]] std::size_t copy_readable(std::uintptr_t address, std::span<std::byte> to) FAULTLINE_SIGNAL_SAFE;

}  // namespace faultline::sys
