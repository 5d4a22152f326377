// The C functions of io. They do not use `guarded`: nothing in them throws, and a thread's cancellation must pass.

#include <faultline/faultline.h>
#include <faultline/io.hpp>

namespace io = faultline::io;

ptrdiff_t faultline_read(int descriptor, void* buffer, size_t bytes) { return io::read(descriptor, buffer, bytes); }

ptrdiff_t faultline_write(int descriptor, const void* buffer, size_t bytes) {
    return io::write(descriptor, buffer, bytes);
}

ptrdiff_t faultline_pread(int descriptor, void* buffer, size_t bytes, int64_t offset) {
    return io::pread(descriptor, buffer, bytes, offset);
}

ptrdiff_t faultline_pwrite(int descriptor, const void* buffer, size_t bytes, int64_t offset) {
    return io::pwrite(descriptor, buffer, bytes, offset);
}

ptrdiff_t faultline_readv(int descriptor, const struct iovec* buffers, int count) {
    return io::readv(descriptor, buffers, count);
}

ptrdiff_t faultline_writev(int descriptor, const struct iovec* buffers, int count) {
    return io::writev(descriptor, buffers, count);
}

ptrdiff_t faultline_recv(int socket, void* buffer, size_t bytes, int flags) {
    return io::recv(socket, buffer, bytes, flags);
}

ptrdiff_t faultline_send(int socket, const void* buffer, size_t bytes, int flags) {
    return io::send(socket, buffer, bytes, flags);
}
