/// @file
/// System calls for C on buffers in managed memory, under every delivery. Part of faultline.h.
///
/// io.hpp says when transfers are short, and which errors they have besides those of the POSIX functions of the same
/// names. They are cancellation points if the POSIX functions are, and set no message.
#ifndef FAULTLINE_C_IO_H
#define FAULTLINE_C_IO_H

#include <faultline/export.hpp>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct iovec;  // <sys/uio.h>

/// Reads into `buffer` as read(2) does. Returns the number of bytes, or -1 and errno.
FAULTLINE_API ptrdiff_t faultline_read(int descriptor, void* buffer, size_t bytes);
/// Writes from `buffer` as write(2) does. Returns the number of bytes, or -1 and errno.
FAULTLINE_API ptrdiff_t faultline_write(int descriptor, const void* buffer, size_t bytes);
/// Reads at `offset` as pread(2) does. Returns the number of bytes, or -1 and errno.
FAULTLINE_API ptrdiff_t faultline_pread(int descriptor, void* buffer, size_t bytes, int64_t offset);
/// Writes at `offset` as pwrite(2) does. Returns the number of bytes, or -1 and errno.
FAULTLINE_API ptrdiff_t faultline_pwrite(int descriptor, const void* buffer, size_t bytes, int64_t offset);
/// Reads into `count` buffers as readv(2) does. Returns the number of bytes, or -1 and errno.
FAULTLINE_API ptrdiff_t faultline_readv(int descriptor, const struct iovec* buffers, int count);
/// Writes from `count` buffers as writev(2) does. Returns the number of bytes, or -1 and errno.
FAULTLINE_API ptrdiff_t faultline_writev(int descriptor, const struct iovec* buffers, int count);
/// Receives into `buffer` as recv(2) does. Returns the number of bytes, or -1 and errno.
FAULTLINE_API ptrdiff_t faultline_recv(int socket, void* buffer, size_t bytes, int flags);
/// Sends from `buffer` as send(2) does. Returns the number of bytes, or -1 and errno.
FAULTLINE_API ptrdiff_t faultline_send(int socket, const void* buffer, size_t bytes, int flags);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // FAULTLINE_C_IO_H
