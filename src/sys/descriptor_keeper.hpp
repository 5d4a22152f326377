// DescriptorKeeper: keeps an open file open even if the program closes its descriptor. A thread with a descriptor table
// of its own, which holds only this file, sleeps while the keeper lives.
//
// A userfaultfd needs this: when its last descriptor is closed, absent pages read as zeros in the kernel. A program
// does that with close_range(3, ~0U, 0).
//
// The thread also makes ioctls on the file for threads that cannot: the program has closed the descriptor, or a seccomp
// filter forbids the call to the calling thread.
#pragma once

#include "core/signal_safe.hpp"
#include "sys/separate_thread.hpp"

namespace faultline::sys {

class DescriptorKeeper {
public:
    /// Returns when the file is kept. If the kernel refuses a second table (a seccomp filter), nothing is kept. Throws
    /// std::system_error if no thread can be started.
    explicit DescriptorKeeper(int fd) : fd_{fd}, thread_{"fl-keeper", fd} {}

    [[nodiscard]] bool keeps() const noexcept { return thread_.is_separate(); }

    /// Makes ioctl(2) on the file in the keeper's thread. `refusal` is the errno of the caller's own call. The first
    /// refusal in a process is reported on standard error. Returns the result like raw_syscall, or -`refusal` if
    /// nothing is kept.
    [[nodiscard]] long ioctl(unsigned long request, void* argument, int refusal) FAULTLINE_SIGNAL_SAFE;

private:
    int fd_;
    SeparateThread thread_;
};

}  // namespace faultline::sys
