// The C library's functions for I/O as bare system calls, for a program that is linked with this file: its calls pass
// by the functions that the preload interposes, and are dispatched.

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <cerrno>

namespace {

template <typename T>
long word(T value) {
    return static_cast<long>(value);
}
template <typename T>
long word(T* pointer) {
    return reinterpret_cast<long>(pointer);
}

long bare(long number, long a, long b, long c, long d = 0, long e = 0, long f = 0) {
    register long r10 asm("r10") = d;
    register long r8 asm("r8") = e;
    register long r9 asm("r9") = f;
    long result = number;
    asm volatile("syscall"
                 : "+a"(result)
                 : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                 : "rcx", "r11", "memory");
    if (result < 0 && result >= -4095) {
        errno = static_cast<int>(-result);
        return -1;
    }
    return result;
}

template <typename... Arguments>
long make(long number, Arguments... arguments) {
    return bare(number, word(arguments)...);
}

}  // namespace

// NOLINTBEGIN: the C library's names and signatures
extern "C" {

ssize_t read(int fd, void* buffer, size_t bytes) { return make(SYS_read, fd, buffer, bytes); }
ssize_t write(int fd, const void* buffer, size_t bytes) { return make(SYS_write, fd, buffer, bytes); }
ssize_t pread(int fd, void* buffer, size_t bytes, off_t at) { return make(SYS_pread64, fd, buffer, bytes, at); }
ssize_t pwrite(int fd, const void* buffer, size_t bytes, off_t at) { return make(SYS_pwrite64, fd, buffer, bytes, at); }
ssize_t readv(int fd, const iovec* buffers, int count) { return make(SYS_readv, fd, buffers, count); }
ssize_t writev(int fd, const iovec* buffers, int count) { return make(SYS_writev, fd, buffers, count); }
ssize_t recv(int fd, void* buffer, size_t bytes, int flags) {
    return make(SYS_recvfrom, fd, buffer, bytes, flags, 0, 0);
}
ssize_t send(int fd, const void* buffer, size_t bytes, int flags) {
    return make(SYS_sendto, fd, buffer, bytes, flags, 0, 0);
}
ssize_t recvfrom(int fd, void* buffer, size_t bytes, int flags, sockaddr* address, socklen_t* length) {
    return make(SYS_recvfrom, fd, buffer, bytes, flags, address, length);
}
ssize_t sendto(int fd, const void* buffer, size_t bytes, int flags, const sockaddr* address, socklen_t length) {
    return make(SYS_sendto, fd, buffer, bytes, flags, address, length);
}
ssize_t recvmsg(int fd, msghdr* message, int flags) { return make(SYS_recvmsg, fd, message, flags); }
ssize_t sendmsg(int fd, const msghdr* message, int flags) { return make(SYS_sendmsg, fd, message, flags); }
int poll(pollfd* descriptors, nfds_t count, int timeout) {
    return static_cast<int>(make(SYS_poll, descriptors, count, timeout));
}
int epoll_wait(int fd, epoll_event* events, int count, int timeout) {
    return static_cast<int>(make(SYS_epoll_wait, fd, events, count, timeout));
}

}  // extern "C"
// NOLINTEND
