// fork(2), a socket pair, and the handling of their errors.
#include "vs_kernel/child.hpp"

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdio>
#include <cstring>

#include "support/system_call.hpp"
#include "vs_kernel/worker.hpp"

namespace bench {
namespace {

// A child must not outlive its parent, however that ended: it would keep the cgroup and the swap area in use.
void die_with_parent(pid_t parent) {
    check(::prctl(PR_SET_PDEATHSIG, SIGKILL), "prctl(PR_SET_PDEATHSIG)");
    if (::getppid() != parent) ::_exit(1);
}

[[noreturn]] void run_child(int socket, pid_t parent, const ChildProcess::MakeMemory& make_memory,
                            const WorkloadShape& shape) {
    int status = 1;
    try {
        die_with_parent(parent);
        Interrupt::restore_default();
        status = serve(socket, make_memory, shape);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
    }
    // Neither flushes nor destroys what was copied from the parent.
    ::_exit(status);
}

std::string ending(int status) {
    if (WIFSIGNALED(status)) {
        const int signal = WTERMSIG(status);
        const char* const hint = signal == SIGKILL ? " (the kernel saw no way to make room in its cgroup?)" : "";
        return std::string{"its process was killed by signal "} + std::to_string(signal) + ", " + ::strsignal(signal) +
               hint;
    }
    const int code = WEXITSTATUS(status);
    return code == 0 ? std::string{} : "its process ended with status " + std::to_string(code);
}

}  // namespace

ChildProcess::ChildProcess(const Interrupt& interrupt, const MakeMemory& make_memory, const WorkloadShape& shape)
    : interrupt_{interrupt} {
    int sockets[2] = {-1, -1};
    check(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), "socketpair");
    socket_ = faultline::sys::FileDescriptor{sockets[0]};
    const faultline::sys::FileDescriptor childs{sockets[1]};
    const pid_t parent = ::getpid();
    std::fflush(nullptr);
    pid_ = check(::fork(), "fork");
    if (pid_ == 0) run_child(childs.get(), parent, make_memory, shape);
}

ChildProcess::~ChildProcess() {
    if (pid_ == -1) return;
    ::kill(pid_, SIGKILL);
    static_cast<void>(wait());
}

std::string ChildProcess::wait() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) == -1) {
        if (errno != EINTR) return std::string{"waitpid: "} + std::strerror(errno);
    }
    pid_ = -1;
    return ending(status);
}

void ChildProcess::throw_gone() {
    const std::string how = wait();
    throw ChildFailure{how.empty() ? "its process ended too early" : how, 0};
}

void ChildProcess::send(const Order& order) {
    if (::send(socket_.get(), &order, sizeof order, MSG_NOSIGNAL) != ssize_t{sizeof order}) {
        throw_gone();
    }
}

Reply ChildProcess::receive() {
    interrupt_.wait_readable(socket_.get());
    Reply reply;
    if (::recv(socket_.get(), &reply, sizeof reply, 0) != ssize_t{sizeof reply}) throw_gone();
    if (reply.failed) throw ChildFailure{reply.text.data(), reply.error};
    return reply;
}

Reply ChildProcess::ask(const Order& order) {
    send(order);
    return receive();
}

void ChildProcess::finish() {
    send({.kind = Order::Kind::finish});
    interrupt_.wait_readable(socket_.get());
    if (const std::string how = wait(); !how.empty()) throw ChildFailure{how, 0};
}

}  // namespace bench
