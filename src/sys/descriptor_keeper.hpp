// DescriptorKeeper: keeps an open file open whatever the program does with its number. A thread with a descriptor table
// of its own, in which there is nothing else, sleeps for as long as the keeper lives.
//
// A userfaultfd needs this: when the last descriptor of one is closed (close_range(3, ~0U, 0) is all it takes) the
// kernel lets every absent page read as zeros.
//
// The thread also makes system calls on the file for threads that cannot: the program has closed the number, or has put
// a seccomp filter on the thread that forbids the call.
#pragma once

#include "core/signal_safe.hpp"
#include "sys/futex_lock.hpp"
#include "sys/service_thread.hpp"

#include <atomic>
#include <cstdint>

namespace faultline::sys {

class DescriptorKeeper {
public:
    /// Returns once the file is kept. Where the kernel refuses a second table (a seccomp filter), nothing is kept.
    /// Throws std::system_error when no thread can be started.
    explicit DescriptorKeeper(int fd);
    ~DescriptorKeeper();
    DescriptorKeeper(const DescriptorKeeper&) = delete;
    DescriptorKeeper& operator=(const DescriptorKeeper&) = delete;

    [[nodiscard]] bool keeps() const noexcept { return state_.load() == kKept; }

    /// Makes ioctl(2) on the file from the keeper's thread. `refusal` is the errno that the caller's own call ended
    /// with: the first of a process is reported on standard error. Returns as raw_syscall; `refusal`, negated, where
    /// nothing is kept.
    [[nodiscard]] long ioctl(unsigned long request, void* argument, int refusal) FAULTLINE_SIGNAL_SAFE;

private:
    static constexpr std::uint32_t kStarting = 0;
    static constexpr std::uint32_t kKept = 1;
    static constexpr std::uint32_t kRefused = 2;

    void keep(int fd) noexcept;
    void serve(int fd) noexcept;

    std::atomic<std::uint32_t> state_{kStarting};
    std::atomic<std::uint32_t> asked_{0};     // a futex: calls that threads have asked for, and the end
    std::atomic<std::uint32_t> answered_{0};  // a futex: calls that were made
    std::atomic<bool> ending_{false};
    FutexLock calling_;  // one call at a time; with all signals blocked
    unsigned long request_ = 0;
    void* argument_ = nullptr;
    long result_ = 0;
    ServiceThread thread_;  // last: joined before the rest goes
};

}  // namespace faultline::sys
