#include "preload/calls.hpp"

#include "core/units.hpp"
#include "preload/memory_calls.hpp"
#include "preload/pinned_memory.hpp"
#include "preload/thread_state.hpp"
#include "sys/syscall.hpp"

#include <faultline/io.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>
#include <ctime>
#include <optional>
#include <type_traits>

namespace faultline::preload {
namespace {

using sys::raw_syscall;

constexpr std::uint64_t kPlainObject = 4096;  // a path is as long at most; other things are shorter
constexpr int kMostRetries = 256;

// Newer than the distribution's headers.
constexpr long kEpollPwait2 = 441;
constexpr long kFutexWaitv = 449;

/// The signal mask of the thread where it made the call, for what `interruptible_call` finds itself in. Set while
/// faultline::io makes calls on behalf of one.
struct Interrupted {
    bool is = false;
    std::uint64_t mask = 0;
};
[[gnu::tls_model("initial-exec")]] constinit thread_local Interrupted interrupted;

long bare_call(const Call& call) noexcept {
    const auto& [a, b, c, d, e, f] = call.arguments;
    return raw_syscall(call.number, a, b, c, d, e, f);
}

void set_mask(std::uint64_t mask) noexcept {
    raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, sys::syscall_argument(&mask), 0, sizeof mask);
}

/// All that signals interrupt. A thread that is cancelled is unwound from between any two instructions of it, so
/// nothing is to be cleaned up in this frame: the C++ runtime would not know where it is, and end the program.
long call_with_mask(const Call& call, std::uint64_t mask) {
    set_mask(mask);
    const long result = bare_call(call);
    set_mask(kHandlerMask);
    return result;
}

/// Called by way of this: a compiler that sees that the function throws nothing leaves its callers' clean-ups out.
long (*const volatile unforeseen_call)(const Call&, std::uint64_t) = &call_with_mask;

/// Outside of the library, as long as it lives.
class AsTheProgram {
public:
    AsTheProgram() noexcept { InLibrary::leave(); }
    ~AsTheProgram() { InLibrary::enter(); }
    AsTheProgram(const AsTheProgram&) = delete;
    AsTheProgram& operator=(const AsTheProgram&) = delete;
};

long interruptible_call(const Call& call, std::uint64_t mask) {
    const AsTheProgram now;
    return unforeseen_call(call, mask);
}

/// What faultline::io calls, in place of the C library's.
long call_for_io(long number, std::uint64_t a, std::uint64_t b, std::uint64_t c, std::uint64_t d = 0,
                 std::uint64_t e = 0, std::uint64_t f = 0) {
    const Call call{number, {a, b, c, d, e, f}};
    const long result = interrupted.is ? interruptible_call(call, interrupted.mask) : bare_call(call);
    if (const int error = sys::error_of(result)) {
        errno = error;
        return -1;
    }
    return result;
}

/// `transfer` of faultline::io, whose calls are made as the program's.
template <typename Transfer>
long through_io(std::uint64_t mask, Transfer transfer) {
    struct Scope {
        Interrupted before = interrupted;
        ~Scope() { interrupted = before; }
    } const scope;
    interrupted = {true, mask};
    const long result = transfer();
    return result < 0 ? -errno : result;
}

template <typename T>
T* pointer(std::uint64_t address) noexcept {
    return reinterpret_cast<T*>(address);
}

/// Saturates.
std::uint64_t times(std::uint64_t count, std::uint64_t bytes) noexcept {
    std::uint64_t product = 0;
    return __builtin_mul_overflow(count, bytes, &product) ? UINT64_MAX : product;
}

/// How many bytes argument number `i` may lead to, if it leads somewhere.
std::uint64_t extent(const Call& call, unsigned i) noexcept {
    const auto& a = call.arguments;
    switch (call.number) {
        case SYS_getcwd:
        case SYS_getrandom:
            return i == 0 ? a[1] : 0;
        case SYS_recvfrom:
        case SYS_sendto:
        case SYS_getdents:
        case SYS_getdents64:
        case SYS_mq_timedsend:
        case SYS_mq_timedreceive:
            return i == 1 ? a[2] : kPlainObject;
        case SYS_readlink:
            return i == 1 ? a[2] : kPlainObject;
        case SYS_readlinkat:
            return i == 2 ? a[3] : kPlainObject;
        case SYS_poll:
        case SYS_ppoll:
            return i == 0 ? times(a[1], sizeof(pollfd)) : kPlainObject;
        case SYS_select:
        case SYS_pselect6:
            return i >= 1 && i <= 3 ? (a[0] & UINT_MAX) / 8 + 8 : kPlainObject;
        case SYS_epoll_wait:
        case SYS_epoll_pwait:
        case kEpollPwait2:
            return i == 1 ? times(a[2] & UINT_MAX, sizeof(epoll_event)) : kPlainObject;
        case SYS_setsockopt:
            return i == 3 ? std::max(a[4] & UINT_MAX, kPlainObject) : kPlainObject;
        case SYS_getgroups:
        case SYS_setgroups:
            return i == 1 ? times(a[0], sizeof(gid_t)) : 0;
        case SYS_sched_getaffinity:
        case SYS_sched_setaffinity:
            return i == 2 ? a[1] : 0;
        case SYS_setxattr:
        case SYS_lsetxattr:
        case SYS_fsetxattr:
        case SYS_getxattr:
        case SYS_lgetxattr:
        case SYS_fgetxattr:
            return i == 2 ? a[3] : kPlainObject;
        case SYS_listxattr:
        case SYS_llistxattr:
        case SYS_flistxattr:
            return i == 1 ? a[2] : kPlainObject;
        case SYS_msgsnd:
        case SYS_msgrcv:
            return i == 1 ? a[2] + sizeof(long) : 0;
        case SYS_semop:
        case SYS_semtimedop:
            return i == 1 ? times(a[2], 6) : kPlainObject;
        case SYS_io_submit:
            return i == 2 ? times(a[1], sizeof(void*)) : 0;
        case SYS_io_getevents:
            return i == 3 ? times(a[2], 32) : kPlainObject;
        case SYS_futex:
            return i == 3 ? sizeof(timespec) : sizeof(std::uint32_t);
        default:
            return kPlainObject;
    }
}

// ---- what leads further than one step

void add_buffers(PinnedMemory& memory, std::uint64_t buffers, std::uint64_t count) noexcept {
    if (buffers == 0 || count > IOV_MAX) return;
    memory.add(buffers, count * sizeof(iovec));
    for (std::uint64_t i = 0; i < count; ++i) {
        const iovec& buffer = pointer<const iovec>(buffers)[i];
        memory.add(reinterpret_cast<std::uint64_t>(buffer.iov_base), buffer.iov_len);
    }
}

void add_message(PinnedMemory& memory, std::uint64_t address) noexcept {
    if (address == 0) return;
    memory.add(address, sizeof(msghdr));
    const msghdr& message = *pointer<const msghdr>(address);
    memory.add(reinterpret_cast<std::uint64_t>(message.msg_name), message.msg_namelen);
    memory.add(reinterpret_cast<std::uint64_t>(message.msg_control), message.msg_controllen);
    add_buffers(memory, reinterpret_cast<std::uint64_t>(message.msg_iov), message.msg_iovlen);
}

void add_all(PinnedMemory& memory, const Call& call) noexcept {
    const auto& a = call.arguments;
    switch (call.number) {
        case SYS_sendmsg:
        case SYS_recvmsg:
            return add_message(memory, a[1]);
        case SYS_sendmmsg:
        case SYS_recvmmsg:
            memory.add(a[4], sizeof(timespec));
            for (std::uint64_t i = 0; a[1] != 0 && i < std::min<std::uint64_t>(a[2] & UINT_MAX, IOV_MAX); ++i) {
                memory.add(a[1] + i * sizeof(mmsghdr), sizeof(mmsghdr));
                add_message(memory, a[1] + i * sizeof(mmsghdr));
            }
            return;
        case SYS_preadv:
        case SYS_pwritev:
        case SYS_preadv2:
        case SYS_pwritev2:
        case SYS_vmsplice:
        case SYS_process_vm_readv:
        case SYS_process_vm_writev:
            return add_buffers(memory, a[1], a[2]);
        case kFutexWaitv:
            memory.add(a[0], times(a[1], 24));
            memory.add(a[3], sizeof(timespec));
            for (std::uint64_t i = 0; a[0] != 0 && i < std::min<std::uint64_t>(a[1], 128); ++i) {
                memory.add(pointer<const std::uint64_t>(a[0])[3 * i + 1], sizeof(std::uint32_t));
            }
            return;
        default:
            for (unsigned i = 0; i < a.size(); ++i) memory.add(a[i], extent(call, i));
    }
}

/// The same, by touching.
void touch_all(const Call& call) noexcept {
    for (unsigned i = 0; i < call.arguments.size(); ++i) touch_managed(call.arguments[i], extent(call, i));
}

// ---- calls that replace a signal mask

struct MaskAndBytes {
    std::uint64_t mask;
    std::uint64_t bytes;
};

/// Which argument leads to a signal mask that holds while the call waits; -1: none.
int mask_argument(long number) noexcept {
    switch (number) {
        case SYS_rt_sigsuspend:
            return 0;
        case SYS_ppoll:
            return 3;
        case SYS_epoll_pwait:
        case kEpollPwait2:
            return 4;
        case SYS_pselect6:
            return 5;
        default:
            return -1;
    }
}

/// Faults and calls must come through also to the handlers that run with that mask.
void clear_kept_signals(Call& call, std::uint64_t& mask, MaskAndBytes& both) noexcept {
    const int which = mask_argument(call.number);
    if (which < 0) return;
    std::uint64_t& argument = call.arguments[static_cast<std::size_t>(which)];
    if (argument == 0) return;
    const auto kept = kFaultSignals | std::uint64_t{1} << (31 - 1);
    if (call.number == SYS_pselect6) {
        both = *pointer<const MaskAndBytes>(argument);
        if (both.mask == 0) return;
        mask = *pointer<const std::uint64_t>(both.mask) & ~kept;
        both.mask = sys::syscall_argument(&mask);
        argument = sys::syscall_argument(&both);
        return;
    }
    mask = *pointer<const std::uint64_t>(argument) & ~kept;
    argument = sys::syscall_argument(&mask);
}

// ---- execve

/// A page at a time: where it ends is not known before it is there.
void touch_text(const char* text) noexcept {
    while (is_managed(reinterpret_cast<std::uint64_t>(text), 1)) {
        const auto address = reinterpret_cast<std::uint64_t>(text);
        const std::uint64_t rest = core::kUnitBytes - address % core::kUnitBytes;
        touch_managed(address, 1);
        if (std::memchr(text, 0, rest) != nullptr) return;
        text += rest;
    }
}

void touch_list(char* const* list) noexcept {
    for (; list != nullptr; ++list) {
        touch_managed(reinterpret_cast<std::uint64_t>(list), sizeof *list);
        if (*list == nullptr) return;
        touch_text(*list);
    }
}

// ---- the kinds of calls

/// It touches its memory only as it begins, and then may wait for ever: nothing is pinned.
long make_futex_call(const Call& call, std::uint64_t mask) {
    long result = interruptible_call(call, mask);
    for (int tries = 0; result == -EFAULT && tries < kMostRetries; ++tries) {
        const std::uint64_t words[] = {call.arguments[0], call.arguments[3], call.arguments[4]};
        const bool any = std::ranges::any_of(words, [](std::uint64_t at) { return is_managed(at, 1); });
        if (!any) break;
        touch_all(call);
        result = interruptible_call(call, mask);
    }
    return result;
}

long make_other_call(const Call& call, std::uint64_t mask) {
    PinnedMemory memory;
    add_all(memory, call);
    long result = interruptible_call(call, mask);
    for (int tries = 0; result == -EFAULT && !memory.complete() && tries < kMostRetries; ++tries) {
        touch_all(call);
        result = interruptible_call(call, mask);
    }
    return result;
}

}  // namespace

long make_call(Call call, std::uint64_t mask) {
    if (concerns_heap(call)) {
        if (const std::optional<long> answer = answer_memory_call(call)) return *answer;
    }
    const auto& a = call.arguments;
    const int fd = static_cast<int>(a[0]);
    const auto offset = static_cast<std::int64_t>(a[3]);
    const bool managed = is_managed(a[1], std::max<std::uint64_t>(a[2], 1));
    switch (call.number) {
        case SYS_read:
            if (!managed) break;
            return through_io(mask, [&] { return io::read(fd, pointer<void>(a[1]), a[2]); });
        case SYS_write:
            if (!managed) break;
            return through_io(mask, [&] { return io::write(fd, pointer<const void>(a[1]), a[2]); });
        case SYS_pread64:
            if (!managed) break;
            return through_io(mask, [&] { return io::pread(fd, pointer<void>(a[1]), a[2], offset); });
        case SYS_pwrite64:
            if (!managed) break;
            return through_io(mask, [&] { return io::pwrite(fd, pointer<const void>(a[1]), a[2], offset); });
        case SYS_readv:
            return through_io(mask, [&] { return io::readv(fd, pointer<const iovec>(a[1]), static_cast<int>(a[2])); });
        case SYS_writev:
            return through_io(mask, [&] { return io::writev(fd, pointer<const iovec>(a[1]), static_cast<int>(a[2])); });
        case SYS_recvfrom:
            if (!managed || a[4] != 0) return make_other_call(call, mask);
            return through_io(mask, [&] { return io::recv(fd, pointer<void>(a[1]), a[2], static_cast<int>(a[3])); });
        case SYS_sendto:
            if (!managed || a[4] != 0) return make_other_call(call, mask);
            return through_io(mask,
                              [&] { return io::send(fd, pointer<const void>(a[1]), a[2], static_cast<int>(a[3])); });
        case SYS_futex:
            return make_futex_call(call, mask);
        case SYS_mmap:
        case SYS_munmap:
        case SYS_mremap:
        case SYS_mprotect:
        case SYS_madvise:
        case SYS_mlock:
        case SYS_munlock:
        case SYS_brk:
        case SYS_exit:
        case SYS_exit_group:
            break;
        default: {
            std::uint64_t other_mask = 0;
            MaskAndBytes both{};
            clear_kept_signals(call, other_mask, both);
            return make_other_call(call, mask);
        }
    }
    return interruptible_call(call, mask);
}

void touch_exec_memory(const char* path, char* const* arguments, char* const* environment) noexcept {
    touch_text(path);
    touch_list(arguments);
    touch_list(environment);
}

long make_exec_call(const Call& call, const std::uint64_t* mask, const char* path, char* const* arguments,
                    char* const* environment) noexcept {
    long result = -EFAULT;
    for (int tries = 0; result == -EFAULT && tries < kMostRetries; ++tries) {
        touch_exec_memory(path, arguments, environment);
        result = mask != nullptr ? interruptible_call(call, *mask) : bare_call(call);
    }
    return result;
}

}  // namespace faultline::preload

// faultline::io, which this library has linked to it, makes its calls by these, which nobody else sees.
// NOLINTBEGIN: the C library's names and signatures
extern "C" {

using faultline::preload::call_for_io;
using faultline::sys::syscall_argument;

#define HIDDEN [[gnu::visibility("hidden")]]

HIDDEN ssize_t read(int fd, void* buffer, std::size_t bytes) {
    return call_for_io(SYS_read, static_cast<std::uint64_t>(fd), syscall_argument(buffer), bytes);
}
HIDDEN ssize_t write(int fd, const void* buffer, std::size_t bytes) {
    return call_for_io(SYS_write, static_cast<std::uint64_t>(fd), syscall_argument(buffer), bytes);
}
HIDDEN ssize_t pread(int fd, void* buffer, std::size_t bytes, off_t offset) {
    return call_for_io(SYS_pread64, static_cast<std::uint64_t>(fd), syscall_argument(buffer), bytes,
                       static_cast<std::uint64_t>(offset));
}
HIDDEN ssize_t pwrite(int fd, const void* buffer, std::size_t bytes, off_t offset) {
    return call_for_io(SYS_pwrite64, static_cast<std::uint64_t>(fd), syscall_argument(buffer), bytes,
                       static_cast<std::uint64_t>(offset));
}
HIDDEN ssize_t readv(int fd, const iovec* buffers, int count) {
    return call_for_io(SYS_readv, static_cast<std::uint64_t>(fd), syscall_argument(buffers),
                       static_cast<std::uint64_t>(count));
}
HIDDEN ssize_t writev(int fd, const iovec* buffers, int count) {
    return call_for_io(SYS_writev, static_cast<std::uint64_t>(fd), syscall_argument(buffers),
                       static_cast<std::uint64_t>(count));
}
HIDDEN ssize_t recv(int fd, void* buffer, std::size_t bytes, int flags) {
    return call_for_io(SYS_recvfrom, static_cast<std::uint64_t>(fd), syscall_argument(buffer), bytes,
                       static_cast<std::uint64_t>(flags));
}
HIDDEN ssize_t send(int fd, const void* buffer, std::size_t bytes, int flags) {
    return call_for_io(SYS_sendto, static_cast<std::uint64_t>(fd), syscall_argument(buffer), bytes,
                       static_cast<std::uint64_t>(flags));
}

}  // extern "C"
// NOLINTEND
