#include "sys/descriptor_keeper.hpp"

#include "sys/syscall.hpp"

#include <atomic>
#include <cerrno>
#include <cstring>

namespace faultline::sys {
namespace {

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

long DescriptorKeeper::ioctl(unsigned long request, void* argument, int refusal) FAULTLINE_SIGNAL_SAFE {
    if (!keeps()) return -refusal;
    long result = 0;
    auto call = [&] { result = raw_syscall(SYS_ioctl, fd_, request, syscall_argument(argument)); };
    // Where the filter forbids the wake, too, the keeper's thread does not learn of the call.
    if (!thread_.run(call)) return -refusal;
    report(refusal);
    return result;
}

}  // namespace faultline::sys
