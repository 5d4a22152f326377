#include "sys/descriptor_keeper.hpp"

#include "sys/futex.hpp"
#include "sys/syscall.hpp"

#include <linux/close_range.h>
#include <climits>

namespace faultline::sys {
namespace {

/// Gives the calling thread a descriptor table that holds `fd` alone.
bool leave_shared_descriptors(int fd) noexcept {
    // The first call copies nothing above `fd`, and closes nothing of the table that the others go on using.
    if (raw_syscall(SYS_close_range, fd + 1, UINT_MAX, CLOSE_RANGE_UNSHARE) != 0) return false;
    if (fd > 0) raw_syscall(SYS_close_range, 0, fd - 1, 0);
    return true;
}

}  // namespace

DescriptorKeeper::DescriptorKeeper(int fd) : thread_{"fl-keeper", "see `ulimit -u`", [this, fd] { keep(fd); }} {
    while (state_.load() == kStarting) futex_wait(state_, kStarting);
}

DescriptorKeeper::~DescriptorKeeper() {
    state_.store(kEnding);
    futex_wake(state_);
}

void DescriptorKeeper::keep(int fd) noexcept {
    const std::uint32_t found = leave_shared_descriptors(fd) ? kKept : kRefused;
    state_.store(found);
    futex_wake(state_);
    while (state_.load() == found) futex_wait(state_, found);
    if (found == kKept) raw_syscall(SYS_close, fd);  // a thread is joined before the kernel has closed its files
}

}  // namespace faultline::sys
