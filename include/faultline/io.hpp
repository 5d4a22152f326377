/// @file
/// read(2), write(2) and related calls for buffers in managed memory. Each function pins its buffers for the duration
/// of the call, so that it works under every delivery, also on absent pages. The functions are not buffered and not
/// asynchronous. They do not replace `Pin`, which costs less around many calls on one buffer.
#pragma once

#include <faultline/language.hpp>

#include <faultline/export.hpp>

#include <cstddef>
#include <cstdint>

struct iovec;  // <sys/uio.h>

namespace faultline {
inline namespace v0 {

/// System calls on buffers in managed memory.
///
/// Arguments (sizes and offsets in bytes), results and errno are those of the POSIX functions of the same names. An
/// error is -1 and errno, never an exception. Buffers may lie in managed memory of any pager, in other memory, or
/// partly in both. Calls that touch no managed memory are passed to the kernel unchanged, except that more than
/// SSIZE_MAX bytes are EINVAL. Where managed memory is involved:
///
/// - A transfer may be short, as POSIX allows. A call moves at most 1 MiB of managed memory, and less when pins leave
///   less of the resident limit. For each buffer a call pins at most half of what is left, so that concurrent calls
///   also make progress. Repeat the call for the rest, as with the POSIX functions.
/// - A transfer that would lose data if it were short is never short. These are transfers on sockets other than
///   SOCK_STREAM, recv with MSG_WAITALL, writes of at most PIPE_BUF bytes to pipes, all writes to pipes opened with
///   O_DIRECT, and the first PIPE_BUF bytes of reads from pipes. The same holds on descriptors that are not files,
///   directories, block devices, terminals or devices such as /dev/zero. The call pins all of such a transfer; if it
///   cannot, it moves nothing.
/// - ENOMEM: the call cannot pin one page, or cannot pin all of a transfer that must not be short. Other pins and other
///   such calls then hold what the limit leaves besides `Pager::kMinimumPages` pages, or the swap store accepts no more
///   pages. Also: one buffer that must be pinned as a whole crosses more than 64 regions.
/// - EFAULT: the protection of the first page forbids the access, or the protection of any page of a transfer that must
///   not be short.
/// - EIO: the store could not read back the first page, or any page of a transfer that must not be short (see
///   `Region::retry`).
///
/// A call that waits keeps its pages pinned. If their region's handle is destroyed meanwhile, the memory stays mapped
/// until the call ends; `destroy` throws EBUSY. Pages that the kernel will
/// write to are read first, even if the call overwrites all of them. MSG_ZEROCOPY outlives the call: use a `Pin` for
/// it.
///
/// Thread-safe. Each function is a cancellation point if the POSIX function is one. Not for signal handlers. Do not
/// leave a call by longjmp: its pages would stay pinned. `readv` and `writev` use 40 KiB of stack. They read the array
/// of buffers before the call: it must be readable, and may lie in managed memory.
namespace io {

/// Reads into `buffer` as read(2) does. Returns the number of bytes, or -1 and errno.
FAULTLINE_API std::ptrdiff_t read(int descriptor, void* buffer, std::size_t bytes);

/// Writes from `buffer` as write(2) does. Returns the number of bytes, or -1 and errno.
FAULTLINE_API std::ptrdiff_t write(int descriptor, const void* buffer, std::size_t bytes);

/// Reads at `offset` as pread(2) does. Returns the number of bytes, or -1 and errno.
FAULTLINE_API std::ptrdiff_t pread(int descriptor, void* buffer, std::size_t bytes, std::int64_t offset);

/// Writes at `offset` as pwrite(2) does. Returns the number of bytes, or -1 and errno.
FAULTLINE_API std::ptrdiff_t pwrite(int descriptor, const void* buffer, std::size_t bytes, std::int64_t offset);

/// Reads into `count` buffers as readv(2) does. Returns the number of bytes, or -1 and errno.
FAULTLINE_API std::ptrdiff_t readv(int descriptor, const iovec* buffers, int count);

/// Writes from `count` buffers as writev(2) does. Returns the number of bytes, or -1 and errno.
FAULTLINE_API std::ptrdiff_t writev(int descriptor, const iovec* buffers, int count);

/// Receives into `buffer` as recv(2) does. Returns the number of bytes, or -1 and errno.
FAULTLINE_API std::ptrdiff_t recv(int socket, void* buffer, std::size_t bytes, int flags);

/// Sends from `buffer` as send(2) does. Returns the number of bytes, or -1 and errno.
FAULTLINE_API std::ptrdiff_t send(int socket, const void* buffer, std::size_t bytes, int flags);

}  // namespace io
}  // namespace v0
}  // namespace faultline
