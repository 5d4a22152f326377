// Finishes reads and writes that the kernel interrupts, cuts short or refuses for a moment. The caller passes in the
// system call. SwapFile, MemoryFile, SourceFile and TraceWriter transfer with it.
#pragma once

#include "core/signal_safe.hpp"
#include "sys/syscall.hpp"
#include "sys/transient.hpp"

#include <cerrno>
#include <cstddef>

namespace faultline::sys {

/// How far a transfer came.
struct Transferred {
    std::size_t bytes = 0;
    int error = 0;  ///< An errno. 0: all bytes were transferred, or the file has ended.
};

/// How often EIO is tried again in one transfer: some devices fail for a moment.
inline constexpr int kDeviceErrorRetries = 3;

/// Calls `transfer(done, left)`, which returns the bytes transferred, 0 at the end of the file, or a negated errno,
/// until `bytes` are transferred, the file ends or an error persists. `call` is a string literal for the log.
/// Signal-safe if `transfer` is.
template <typename Transfer>
[[nodiscard]] Transferred transfer_to_end(const char* call, std::size_t bytes, Transfer transfer,
                                          OutOfMemory out_of_memory = OutOfMemory::wait) FAULTLINE_SIGNAL_SAFE {
    TransientWait wait{call, out_of_memory};
    int device_errors = 0;
    std::size_t done = 0;
    while (done < bytes) {
        const long result = transfer(done, bytes - done);
        if (result > 0) {
            done += static_cast<std::size_t>(result);
            continue;
        }
        if (result == 0) break;
        const int error = error_of(result);
        if (error == EIO && device_errors++ < kDeviceErrorRetries) continue;
        if (!wait.again(error)) return {done, error};
    }
    return {done, 0};
}

/// Like transfer_to_end, but the end of the file is an error, too: EIO. Returns 0 or an errno.
template <typename Transfer>
[[nodiscard]] int transfer_all(const char* call, std::size_t bytes, Transfer transfer,
                               OutOfMemory out_of_memory = OutOfMemory::wait) FAULTLINE_SIGNAL_SAFE {
    const Transferred result = transfer_to_end(call, bytes, transfer, out_of_memory);
    return result.error == 0 && result.bytes < bytes ? EIO : result.error;
}

}  // namespace faultline::sys
