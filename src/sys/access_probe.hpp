// Tells whether a page may be accessed, without a fault: the kernel tries, as it does for the pointers of any system
// call. For memory of the program that the library is about to read or write. Knows nothing of managed memory, whose
// absent pages would look inaccessible under some deliveries.
#pragma once

#include "core/signal_safe.hpp"

#include <cstdint>

namespace faultline::sys {

/// Return whether the page of 4 KiB at `page` may be read, or read and written. They may grow the first thread's stack,
/// as an access would. Memory of devices counts as not writable. Without MADV_POPULATE_WRITE (Linux 5.14) memory that
/// is readable counts as writable. Signal-safe.
[[nodiscard]] bool is_readable(std::uintptr_t page) FAULTLINE_SIGNAL_SAFE;
[[nodiscard]] bool is_writable(std::uintptr_t page) FAULTLINE_SIGNAL_SAFE;

}  // namespace faultline::sys
