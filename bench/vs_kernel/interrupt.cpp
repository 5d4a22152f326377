// signalfd(2) and poll(2): see interrupt.hpp.
#include "vs_kernel/interrupt.hpp"

#include <poll.h>
#include <sys/signalfd.h>

#include <csignal>

#include "support/system_call.hpp"

namespace bench {
namespace {

sigset_t handled_signals() noexcept {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, signal);
    return set;
}

// poll(2) until one of `files` is ready; without blocking if `timeout` is 0.
void poll_files(pollfd* files, nfds_t count, int timeout) {
    while (::poll(files, count, timeout) == -1) {
        if (errno != EINTR) throw_errno("poll");
    }
}

}  // namespace

Interrupt::Interrupt() {
    const sigset_t set = handled_signals();
    bench::check(::sigprocmask(SIG_BLOCK, &set, nullptr), "sigprocmask");
    signals_ =
        faultline::sys::FileDescriptor{bench::check(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), "signalfd")};
}

void Interrupt::check() const {
    signalfd_siginfo info{};
    const ssize_t bytes = ::read(signals_.get(), &info, sizeof info);
    if (bytes == ssize_t{sizeof info}) throw Interrupted{static_cast<int>(info.ssi_signo)};
    if (bytes == -1 && errno != EAGAIN && errno != EINTR) throw_errno("read of a signalfd");
}

void Interrupt::wait_readable(int fd) const {
    for (;;) {
        pollfd files[] = {{fd, POLLIN, 0}, {signals_.get(), POLLIN, 0}};
        poll_files(files, 2, -1);
        check();
        if (files[0].revents != 0) return;
    }
}

void Interrupt::restore_default() noexcept {
    const sigset_t set = handled_signals();
    // Cannot fail: the arguments are constants.
    static_cast<void>(::sigprocmask(SIG_UNBLOCK, &set, nullptr));
}

}  // namespace bench
