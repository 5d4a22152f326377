#include "support/injection.hpp"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <stdexcept>
#include <thread>
#include <vector>

namespace faultline::test {
namespace {

/// Makes the chosen calls of this process wait for an answer from now on. Returns the descriptor for the answers.
int install_filter(const Injection& injection) {
    std::vector<sock_filter> code{
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(injection.call), 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    if (injection.argument) {
        code.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args) + sizeof(std::uint64_t)));
        code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, *injection.argument, 1, 0));
        code.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    }
    code.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF));
    const sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    constexpr unsigned long kOnEveryThread = SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH;
    return static_cast<int>(
        ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER | kOnEveryThread, &program));
}

void send_descriptor(int socket, int fd) {
    char nothing = 0;
    iovec data{&nothing, 1};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    if (fd >= 0) {
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        cmsghdr* const header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
    }
    static_cast<void>(::sendmsg(socket, &message, 0));
}

/// Returns the descriptor that the child has sent; -1: none came.
int receive_descriptor(int socket) {
    char nothing = 0;
    iovec data{&nothing, 1};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    if (::recvmsg(socket, &message, MSG_CMSG_CLOEXEC) <= 0) return -1;
    const cmsghdr* const header = CMSG_FIRSTHDR(&message);
    if (header == nullptr) return -1;
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
    return fd;
}

/// Answers calls in place of the kernel until no thread of the child is left.
void answer_calls(int listener, const Injection& injection, InjectedEnd& result) {
    for (;;) {
        pollfd waiting{listener, POLLIN, 0};
        if (::poll(&waiting, 1, -1) < 0 && errno == EINTR) continue;
        if ((waiting.revents & POLLIN) == 0) return;
        seccomp_notif call{};
        if (::ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) != 0) continue;  // the calling thread was interrupted
        const unsigned number = ++result.calls;
        const bool is_one_in_so_many = injection.every > 0 && number > injection.first && number <= injection.last &&
                                       (number - injection.first) % injection.every == 0;
        const bool fails = number == injection.first || is_one_in_so_many;
        seccomp_notif_resp answer{};
        answer.id = call.id;
        if (fails) {
            answer.error = -injection.error;
            ++result.failed;
        } else {
            answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
        }
        static_cast<void>(::ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer));
    }
}

}  // namespace

std::optional<InjectedEnd> in_child_with(const Injection& injection,
                                         const std::function<std::function<int()>()>& prepare) {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) throw std::runtime_error("socketpair");
    InjectedEnd result;
    bool supported = true;
    std::atomic<bool> started{false};
    std::thread kernel{[&] {
        started.store(true);
        started.notify_one();
        const int listener = receive_descriptor(ends[0]);
        supported = listener >= 0;
        if (listener < 0) return;
        answer_calls(listener, injection, result);
        ::close(listener);
    }};
    started.wait(false);  // a sanitizer's allocator does not survive a fork while a thread starts
    result.end = in_child([&] {
        ::close(ends[0]);
        const std::function<int()> body = prepare();
        const int listener = install_filter(injection);
        send_descriptor(ends[1], listener);
        ::close(ends[1]);
        if (listener < 0) return 0;
        ::close(listener);
        return body();
    });
    ::shutdown(ends[1], SHUT_RDWR);  // unblocks the thread below if the child ended before it sent its descriptor
    kernel.join();
    ::close(ends[0]);
    ::close(ends[1]);
    if (!supported && result.end.exited_with(0)) return std::nullopt;
    return result;
}

}  // namespace faultline::test
