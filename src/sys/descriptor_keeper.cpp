#include "sys/descriptor_keeper.hpp"

#include "sys/futex.hpp"
#include "sys/signal_block.hpp"
#include "sys/syscall.hpp"

#include <linux/close_range.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <mutex>

namespace faultline::sys {
namespace {

/// Gives the calling thread a descriptor table that holds only `fd`. Returns false if the kernel refuses.
bool leave_shared_descriptors(int fd) noexcept {
    // The first call copies nothing above `fd`, and closes nothing in the table that the other threads keep using.
    if (raw_syscall(SYS_close_range, fd + 1, UINT_MAX, CLOSE_RANGE_UNSHARE) != 0) return false;
    if (fd > 0) raw_syscall(SYS_close_range, 0, fd - 1, 0);
    return true;
}

/// Reports the refusal once in a process. A forked child reports again only if its parent had not.
void report(int refusal) FAULTLINE_SIGNAL_SAFE {
    static std::atomic<bool> reported{false};
    if (reported.exchange(true)) return;
    const char* const message =
        refusal == EBADF
            ? "faultline: the program has closed the userfaultfd. A thread of faultline has a copy and makes the "
              "ioctl(2) calls from now on\n"
            : "faultline: a seccomp filter forbids ioctl(2) on the userfaultfd. A thread without the filter makes "
              "the calls from now on\n";
    raw_syscall(SYS_write, 2, syscall_argument(message), std::strlen(message));
}

}  // namespace

DescriptorKeeper::DescriptorKeeper(int fd) : thread_{"fl-keeper", "see `ulimit -u`", [this, fd] { keep(fd); }} {
    futex_wait_while(state_, kStarting);
}

DescriptorKeeper::~DescriptorKeeper() {
    ending_.store(true);
    asked_.fetch_add(1);
    futex_wake(asked_);
}

void DescriptorKeeper::keep(int fd) noexcept {
    const std::uint32_t found = leave_shared_descriptors(fd) ? kKept : kRefused;
    state_.store(found);
    futex_wake(state_);
    serve(fd);
    if (found == kKept)
        raw_syscall(SYS_close, fd);  // joining a thread does not wait until the kernel has closed its files
}

void DescriptorKeeper::serve(int fd) noexcept {
    for (std::uint32_t done = 0;; ++done) {
        futex_wait_while(asked_, done);
        if (ending_.load()) return;
        result_ = raw_syscall(SYS_ioctl, fd, request_, syscall_argument(argument_));
        answered_.store(done + 1);
        futex_wake(answered_);
    }
}

long DescriptorKeeper::ioctl(unsigned long request, void* argument, int refusal) FAULTLINE_SIGNAL_SAFE {
    if (!keeps()) return -refusal;
    const SignalBlock signals;
    const std::lock_guard lock{calling_};
    request_ = request;
    argument_ = argument;
    const std::uint32_t call = asked_.fetch_add(1) + 1;
    if (!futex_wake(asked_))
        return -refusal;  // the filter forbids the wake, too, so the keeper's thread does not learn of the call
    report(refusal);
    for (std::uint32_t answered = answered_.load(); answered != call; answered = answered_.load()) {
        futex_wait(answered_, answered);
    }
    return result_;
}

}  // namespace faultline::sys
