// Interposes the C library's functions that programs call often to move bytes and to wait for descriptors: their calls
// are made directly (direct_call.hpp). A call that the C library makes inside itself is dispatched. Where another
// preloaded library interposes one of them, too, that library's function is called.

#include "preload/io_functions.hpp"

#include "preload/direct_call.hpp"
#include "preload/interposition.hpp"
#include "preload/library_call.hpp"
#include "preload/managed_heap.hpp"
#include "preload/thread_state.hpp"

#include <dlfcn.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <tuple>

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

/// A function of another library that the program would call without the preload; null if that is the C library's.
template <typename Function>
class Behind;
template <typename Result, typename... Arguments>
class Behind<Result(Arguments...)> {
public:
    using Pointer = Result (*)(Arguments...);

    explicit constexpr Behind(const char* name) noexcept : name_{name} {}

    void look() noexcept {
        void* const next = ::dlsym(RTLD_NEXT, name_);
        const bool other = next != nullptr && !is_own_code(next) && !ManagedHeap::neighbours().libc.contains(next);
        if (other) function_ = reinterpret_cast<Pointer>(next);
    }
    [[nodiscard]] const char* name() const noexcept { return name_; }
    [[nodiscard]] Pointer function() const noexcept { return function_; }

private:
    const char* name_;
    Pointer function_ = nullptr;
};

constinit Behind<ssize_t(int, void*, size_t)> behind_read{"read"};
constinit Behind<ssize_t(int, const void*, size_t)> behind_write{"write"};
constinit Behind<ssize_t(int, void*, size_t, off_t)> behind_pread{"pread"};
constinit Behind<ssize_t(int, void*, size_t, off_t)> behind_pread64{"pread64"};
constinit Behind<ssize_t(int, const void*, size_t, off_t)> behind_pwrite{"pwrite"};
constinit Behind<ssize_t(int, const void*, size_t, off_t)> behind_pwrite64{"pwrite64"};
constinit Behind<ssize_t(int, const iovec*, int)> behind_readv{"readv"};
constinit Behind<ssize_t(int, const iovec*, int)> behind_writev{"writev"};
constinit Behind<ssize_t(int, void*, size_t, int)> behind_recv{"recv"};
constinit Behind<ssize_t(int, const void*, size_t, int)> behind_send{"send"};
constinit Behind<ssize_t(int, void*, size_t, int, sockaddr*, socklen_t*)> behind_recvfrom{"recvfrom"};
constinit Behind<ssize_t(int, const void*, size_t, int, const sockaddr*, socklen_t)> behind_sendto{"sendto"};
constinit Behind<ssize_t(int, msghdr*, int)> behind_recvmsg{"recvmsg"};
constinit Behind<ssize_t(int, const msghdr*, int)> behind_sendmsg{"sendmsg"};
constinit Behind<int(int, sockaddr*, socklen_t*)> behind_accept{"accept"};
constinit Behind<int(int, sockaddr*, socklen_t*, int)> behind_accept4{"accept4"};
constinit Behind<int(pollfd*, nfds_t, int)> behind_poll{"poll"};
constinit Behind<int(int, epoll_event*, int, int)> behind_epoll_wait{"epoll_wait"};
constinit Behind<int(int, int, int, epoll_event*)> behind_epoll_ctl{"epoll_ctl"};

/// Calls `use` with each of them.
template <typename Use>
void for_all(Use use) noexcept {
    const auto with = [&](auto&... each) { (use(each), ...); };
    with(behind_read, behind_write, behind_pread, behind_pread64, behind_pwrite, behind_pwrite64, behind_readv,
         behind_writev, behind_recv, behind_send, behind_recvfrom, behind_sendto, behind_recvmsg, behind_sendmsg,
         behind_accept, behind_accept4, behind_poll, behind_epoll_wait, behind_epoll_ctl);
}

/// One call of an interposed function: its arguments, and the function that another library has for the name.
template <typename Result, typename... Arguments>
class Interposed {
public:
    Interposed(const Behind<Result(Arguments...)>& behind, Arguments... arguments) noexcept
        : behind_{behind.function()}, arguments_{arguments...} {}

    /// Makes a call that names `memory`, with `more` as its last arguments. A cancellation point.
    template <typename... More>
    Result call(long number, std::initializer_list<NamedMemory> memory, More... more) const {
        if (belongs_to_other()) return std::apply(behind_, arguments_);
        return result(call_cancellably(with(number, more...), memory));
    }
    /// Makes a call that names memory through structures. A cancellation point.
    Result call(long number) const {
        if (belongs_to_other()) return std::apply(behind_, arguments_);
        return result(call_cancellably(with(number)));
    }
    /// Makes a call that names `memory`. No cancellation point.
    Result call_without_cancellation(long number, std::initializer_list<NamedMemory> memory) const noexcept {
        if (belongs_to_other()) return std::apply(behind_, arguments_);
        return result(call_directly(with(number), memory));
    }

private:
    /// Returns true if the function of another library is to make the call.
    [[nodiscard]] bool belongs_to_other() const noexcept { return behind_ != nullptr && this_thread.inside == 0; }
    static Result result(long raw) noexcept { return static_cast<Result>(result_of_function(raw)); }
    template <typename... More>
    Call with(long number, More... more) const noexcept {
        return std::apply([&](Arguments... each) { return Call{number, {word(each)..., word(more)...}}; }, arguments_);
    }

    Result (*behind_)(Arguments...);
    std::tuple<Arguments...> arguments_;
};

NamedMemory address_of_socket(const sockaddr* address) noexcept { return {address, kMostAddressBytes}; }
NamedMemory length_at(const socklen_t* length) noexcept { return {length, sizeof *length}; }

}  // namespace

namespace faultline::preload {

void look_behind_io_functions() noexcept {
    for_all([](auto& each) { each.look(); });
}

bool is_io_function(const char* name) noexcept {
    bool found = false;
    for_all([&](const auto& each) { found = found || std::strcmp(each.name(), name) == 0; });
    return found;
}

}  // namespace faultline::preload

// NOLINTBEGIN: the C library's names and signatures
extern "C" {

ssize_t read(int fd, void* buffer, size_t bytes) {
    return Interposed{behind_read, fd, buffer, bytes}.call(SYS_read, {{buffer, bytes}});
}
ssize_t write(int fd, const void* buffer, size_t bytes) {
    return Interposed{behind_write, fd, buffer, bytes}.call(SYS_write, {{buffer, bytes}});
}

ssize_t pread(int fd, void* buffer, size_t bytes, off_t offset) {
    return Interposed{behind_pread, fd, buffer, bytes, offset}.call(SYS_pread64, {{buffer, bytes}});
}
ssize_t pread64(int fd, void* buffer, size_t bytes, off64_t offset) {
    return Interposed{behind_pread64, fd, buffer, bytes, offset}.call(SYS_pread64, {{buffer, bytes}});
}
ssize_t pwrite(int fd, const void* buffer, size_t bytes, off_t offset) {
    return Interposed{behind_pwrite, fd, buffer, bytes, offset}.call(SYS_pwrite64, {{buffer, bytes}});
}
ssize_t pwrite64(int fd, const void* buffer, size_t bytes, off64_t offset) {
    return Interposed{behind_pwrite64, fd, buffer, bytes, offset}.call(SYS_pwrite64, {{buffer, bytes}});
}

ssize_t readv(int fd, const iovec* buffers, int count) {
    return Interposed{behind_readv, fd, buffers, count}.call(SYS_readv);
}
ssize_t writev(int fd, const iovec* buffers, int count) {
    return Interposed{behind_writev, fd, buffers, count}.call(SYS_writev);
}

ssize_t recv(int fd, void* buffer, size_t bytes, int flags) {
    return Interposed{behind_recv, fd, buffer, bytes, flags}.call(SYS_recvfrom, {{buffer, bytes}}, 0, 0);
}
ssize_t send(int fd, const void* buffer, size_t bytes, int flags) {
    return Interposed{behind_send, fd, buffer, bytes, flags}.call(SYS_sendto, {{buffer, bytes}}, 0, 0);
}
ssize_t recvfrom(int fd, void* buffer, size_t bytes, int flags, sockaddr* address, socklen_t* length) {
    return Interposed{behind_recvfrom, fd, buffer, bytes, flags, address, length}.call(
        SYS_recvfrom, {{buffer, bytes}, address_of_socket(address), length_at(length)});
}
ssize_t sendto(int fd, const void* buffer, size_t bytes, int flags, const sockaddr* address, socklen_t length) {
    return Interposed{behind_sendto, fd, buffer, bytes, flags, address, length}.call(
        SYS_sendto, {{buffer, bytes}, {address, length}});
}
ssize_t recvmsg(int fd, msghdr* message, int flags) {
    return Interposed{behind_recvmsg, fd, message, flags}.call(SYS_recvmsg);
}
ssize_t sendmsg(int fd, const msghdr* message, int flags) {
    return Interposed{behind_sendmsg, fd, message, flags}.call(SYS_sendmsg);
}

int accept(int fd, sockaddr* address, socklen_t* length) {
    return Interposed{behind_accept, fd, address, length}.call(SYS_accept,
                                                               {address_of_socket(address), length_at(length)});
}
int accept4(int fd, sockaddr* address, socklen_t* length, int flags) {
    return Interposed{behind_accept4, fd, address, length, flags}.call(SYS_accept4,
                                                                       {address_of_socket(address), length_at(length)});
}

int poll(pollfd* descriptors, nfds_t count, int timeout) {
    return Interposed{behind_poll, descriptors, count, timeout}.call(SYS_poll,
                                                                     {{descriptors, count * sizeof *descriptors}});
}
int epoll_wait(int fd, epoll_event* events, int count, int timeout) {
    const std::size_t bytes = count > 0 ? static_cast<std::size_t>(count) * sizeof *events : 0;
    return Interposed{behind_epoll_wait, fd, events, count, timeout}.call(SYS_epoll_wait, {{events, bytes}});
}
int epoll_ctl(int fd, int operation, int descriptor, epoll_event* event) noexcept {
    return Interposed{behind_epoll_ctl, fd, operation, descriptor, event}.call_without_cancellation(
        SYS_epoll_ctl, {{event, sizeof *event}});
}

}  // extern "C"
// NOLINTEND
