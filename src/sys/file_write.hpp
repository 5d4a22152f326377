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

/// Blocks SIGXFSZ on the calling thread while in scope, for writes that the thread makes or submits to a ring.
/// Signal-safe.
class SizeSignalBlock {
public:
    SizeSignalBlock() FAULTLINE_SIGNAL_SAFE;
    ~SizeSignalBlock();
    SizeSignalBlock(const SizeSignalBlock&) = delete;
    SizeSignalBlock& operator=(const SizeSignalBlock&) = delete;

    /// Removes the SIGXFSZ that the kernel has sent to this thread, if any. Call it after a write failed with EFBIG.
    static void take() FAULTLINE_SIGNAL_SAFE;

private:
    std::uint64_t previous_ = 0;  // the kernel's sigset_t: 64 bits
};

/// pwrite(2) without SIGXFSZ. Returns the bytes written, which may be fewer, or the negative errno. Signal-safe.
[[nodiscard]] long write_file_at(int fd, const void* from, std::size_t bytes,
                                 std::uint64_t offset) FAULTLINE_SIGNAL_SAFE;
/// The same for pwritev(2), of at most 1024 parts.
[[nodiscard]] long write_file_at(int fd, std::span<const iovec> parts, std::uint64_t offset) FAULTLINE_SIGNAL_SAFE;

}  // namespace faultline::sys
