// Interposes the C library's functions that programs call often to move bytes and to wait for descriptors: their calls
// are made directly (direct_call.hpp). A call that the C library makes inside itself is dispatched.

#include "preload/direct_call.hpp"
#include "preload/library_call.hpp"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>

namespace {

using namespace faultline::preload;

/// The room that the kernel may need for an address of a socket.
constexpr std::size_t kMostAddressBytes = sizeof(sockaddr_storage);

template <typename T>
std::uint64_t word(T value) noexcept {
    return static_cast<std::uint64_t>(value);
}
template <typename T>
std::uint64_t word(T* pointer) noexcept {
    return faultline::sys::syscall_argument(pointer);
}

template <typename... Arguments>
Call call_of(long number, Arguments... arguments) noexcept {
    return {number, {word(arguments)...}};
}

/// Makes a call that names `memory`. A cancellation point.
template <typename... Arguments>
long make(std::initializer_list<NamedMemory> memory, long number, Arguments... arguments) {
    return result_of_function(call_cancellably(call_of(number, arguments...), memory));
}

/// Makes a call that names memory through structures. A cancellation point.
template <typename... Arguments>
long make(long number, Arguments... arguments) {
    return result_of_function(call_cancellably(call_of(number, arguments...)));
}

}  // namespace

// NOLINTBEGIN: the C library's names and signatures
extern "C" {

ssize_t read(int fd, void* buffer, size_t bytes) { return make({{buffer, bytes}}, SYS_read, fd, buffer, bytes); }
ssize_t write(int fd, const void* buffer, size_t bytes) {
    return make({{buffer, bytes}}, SYS_write, fd, buffer, bytes);
}

ssize_t pread(int fd, void* buffer, size_t bytes, off_t offset) {
    return make({{buffer, bytes}}, SYS_pread64, fd, buffer, bytes, offset);
}
ssize_t pread64(int fd, void* buffer, size_t bytes, off64_t offset) { return pread(fd, buffer, bytes, offset); }
ssize_t pwrite(int fd, const void* buffer, size_t bytes, off_t offset) {
    return make({{buffer, bytes}}, SYS_pwrite64, fd, buffer, bytes, offset);
}
ssize_t pwrite64(int fd, const void* buffer, size_t bytes, off64_t offset) { return pwrite(fd, buffer, bytes, offset); }

ssize_t readv(int fd, const iovec* buffers, int count) { return make(SYS_readv, fd, buffers, count); }
ssize_t writev(int fd, const iovec* buffers, int count) { return make(SYS_writev, fd, buffers, count); }

ssize_t recvfrom(int fd, void* buffer, size_t bytes, int flags, sockaddr* address, socklen_t* length) {
    return make({{buffer, bytes}, {address, kMostAddressBytes}, {length, sizeof *length}}, SYS_recvfrom, fd, buffer,
                bytes, flags, address, length);
}
ssize_t sendto(int fd, const void* buffer, size_t bytes, int flags, const sockaddr* address, socklen_t length) {
    return make({{buffer, bytes}, {address, length}}, SYS_sendto, fd, buffer, bytes, flags, address, length);
}
ssize_t recv(int fd, void* buffer, size_t bytes, int flags) {
    return recvfrom(fd, buffer, bytes, flags, nullptr, nullptr);
}
ssize_t send(int fd, const void* buffer, size_t bytes, int flags) {
    return sendto(fd, buffer, bytes, flags, nullptr, 0);
}
ssize_t recvmsg(int fd, msghdr* message, int flags) { return make(SYS_recvmsg, fd, message, flags); }
ssize_t sendmsg(int fd, const msghdr* message, int flags) { return make(SYS_sendmsg, fd, message, flags); }

int accept(int fd, sockaddr* address, socklen_t* length) {
    return static_cast<int>(
        make({{address, kMostAddressBytes}, {length, sizeof *length}}, SYS_accept, fd, address, length));
}
int accept4(int fd, sockaddr* address, socklen_t* length, int flags) {
    return static_cast<int>(
        make({{address, kMostAddressBytes}, {length, sizeof *length}}, SYS_accept4, fd, address, length, flags));
}

int poll(pollfd* descriptors, nfds_t count, int timeout) {
    return static_cast<int>(make({{descriptors, count * sizeof *descriptors}}, SYS_poll, descriptors, count, timeout));
}
int epoll_wait(int fd, epoll_event* events, int count, int timeout) {
    const std::size_t bytes = count > 0 ? static_cast<std::size_t>(count) * sizeof *events : 0;
    return static_cast<int>(make({{events, bytes}}, SYS_epoll_wait, fd, events, count, timeout));
}
/// No cancellation point.
int epoll_ctl(int fd, int operation, int descriptor, epoll_event* event) noexcept {
    const Call call = call_of(SYS_epoll_ctl, fd, operation, descriptor, event);
    return static_cast<int>(result_of_function(call_directly(call, {{event, sizeof *event}})));
}

}  // extern "C"
// NOLINTEND
