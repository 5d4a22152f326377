// Writes to a file at an offset. Beyond the file size limit of the process (RLIMIT_FSIZE), which may be set after the
// file was created, the kernel does more than fail with EFBIG. It sends SIGXFSZ, which ends a program without a
// message.
#pragma once

#include "core/signal_safe.hpp"

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace faultline::sys {

/// pwrite(2) without SIGXFSZ. Returns the bytes written, which may be fewer, or the negative errno. Signal-safe.
[[nodiscard]] long write_file_at(int fd, const void* from, std::size_t bytes,
                                 std::uint64_t offset) FAULTLINE_SIGNAL_SAFE;
/// The same for pwritev(2), of at most 1024 parts.
[[nodiscard]] long write_file_at(int fd, std::span<const iovec> parts, std::uint64_t offset) FAULTLINE_SIGNAL_SAFE;

}  // namespace faultline::sys
