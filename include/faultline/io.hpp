// io: read(2), write(2) and their relatives for buffers in managed memory. Each pins what it hands to the kernel for as
// long as the call takes, so that it works in every delivery, also on absent pages. They are not buffered, not
// asynchronous and not a replacement for Pin, which costs less around many calls on one buffer.
#pragma once

#include <faultline/language.hpp>

#include <faultline/export.hpp>

#include <cstddef>
#include <cstdint>

struct iovec;  // <sys/uio.h>

/// Arguments (sizes and offsets in bytes), results and errno are those of the POSIX functions of the same names: -1 and
/// errno, never an exception. Buffers may lie in managed memory of any pager, in other memory, or partly in both; calls
/// that touch no managed memory are passed on as they are (but for more than SSIZE_MAX bytes, which are EINVAL). Where
/// managed memory is involved:
///
/// - Transfers may be short, as POSIX allows: a call moves at most 1 MiB of managed memory, and less when pins leave
///   less of the resident limit (a call takes at most half of what is left for each buffer, so that others find
///   something, too). Repeat the call for the rest, as with any of these functions.
/// - A transfer that would lose data when cut is never cut: on sockets other than SOCK_STREAM, recv with MSG_WAITALL,
///   writes of at most PIPE_BUF bytes to pipes, all writes to pipes opened with O_DIRECT, the first PIPE_BUF bytes of
///   reads from pipes, and on descriptors that are neither files, directories, block devices, terminals nor the likes
///   of /dev/zero. All of that is pinned; if it cannot be, nothing is moved.
/// - ENOMEM: not even one page, or not all of a transfer that must not be cut, can be pinned: other pins and other such
///   calls hold what the limit leaves beside `Pager::kMinimumPages` pages, or the swap store takes nothing more. Also
///   where one buffer that must not be cut crosses more than 64 regions.
/// - EFAULT: the protection of the first page forbids the access, or that of any page of a transfer that must not be
///   cut. EIO: the same for a page that the store could not read back (see `Region::retry`).
///
/// A call that waits keeps its pages pinned meanwhile, and its regions cannot be destroyed (EBUSY). Pages to be written
/// to are brought in even if all of them will be overwritten. MSG_ZEROCOPY outlives the call: use a `Pin` for it.
///
/// Safe on any thread, and cancellation points as in POSIX; not for signal handlers, and not to be left by longjmp,
/// which would leave pages pinned. `readv` and `writev` use 40 KiB of stack, and read the array of buffers before the
/// call: it must be readable, and may lie in managed memory.
namespace faultline::io {

/// Like read(2).
FAULTLINE_API std::ptrdiff_t read(int descriptor, void* buffer, std::size_t bytes);

/// Like write(2).
FAULTLINE_API std::ptrdiff_t write(int descriptor, const void* buffer, std::size_t bytes);

/// Like pread(2).
FAULTLINE_API std::ptrdiff_t pread(int descriptor, void* buffer, std::size_t bytes, std::int64_t offset);

/// Like pwrite(2).
FAULTLINE_API std::ptrdiff_t pwrite(int descriptor, const void* buffer, std::size_t bytes, std::int64_t offset);

/// Like readv(2).
FAULTLINE_API std::ptrdiff_t readv(int descriptor, const iovec* buffers, int count);

/// Like writev(2).
FAULTLINE_API std::ptrdiff_t writev(int descriptor, const iovec* buffers, int count);

/// Like recv(2).
FAULTLINE_API std::ptrdiff_t recv(int socket, void* buffer, std::size_t bytes, int flags);

/// Like send(2).
FAULTLINE_API std::ptrdiff_t send(int socket, const void* buffer, std::size_t bytes, int flags);

}  // namespace faultline::io
