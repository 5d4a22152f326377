// Writing to a file at an offset. Beyond the process's file size limit (RLIMIT_FSIZE), which may have been set after
// the file was made, the kernel does not just fail with EFBIG: it sends SIGXFSZ, which ends a program without a word.
#pragma once

#include "core/signal_safe.hpp"

#include <cstddef>
#include <cstdint>

namespace faultline::sys {

/// pwrite(2) without SIGXFSZ. Returns the bytes written, which may be fewer, or the negative errno. Signal-safe.
[[nodiscard]] long write_file_at(int fd, const void* from, std::size_t bytes,
                                 std::uint64_t offset) FAULTLINE_SIGNAL_SAFE;

}  // namespace faultline::sys
