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
#include "sys/futex_lock.hpp"
#include "sys/service_thread.hpp"

#include <atomic>
#include <cstdint>

namespace faultline::sys {

class DescriptorKeeper {
public:
    /// Returns when the file is kept. If the kernel refuses a second table (a seccomp filter), nothing is kept. Throws
    /// std::system_error if no thread can be started.
    explicit DescriptorKeeper(int fd);
    ~DescriptorKeeper();
    DescriptorKeeper(const DescriptorKeeper&) = delete;
    DescriptorKeeper& operator=(const DescriptorKeeper&) = delete;

    [[nodiscard]] bool keeps() const noexcept { return state_.load() == kKept; }

    /// Makes ioctl(2) on the file in the keeper's thread. `refusal` is the errno of the caller's own call. The first
    /// refusal in a process is reported on standard error. Returns the result like raw_syscall, or -`refusal` if
    /// nothing is kept.
    [[nodiscard]] long ioctl(unsigned long request, void* argument, int refusal) FAULTLINE_SIGNAL_SAFE;

private:
    static constexpr std::uint32_t kStarting = 0;
    static constexpr std::uint32_t kKept = 1;
    static constexpr std::uint32_t kRefused = 2;

    void keep(int fd) noexcept;
    void serve(int fd) noexcept;

    // All atomics here are sequentially consistent: `asked_` publishes the call, `answered_` its result.
    std::atomic<std::uint32_t> state_{kStarting};  // futex; changes once
    std::atomic<std::uint32_t> asked_{0};          // futex: number of calls requested, plus one for the end
    std::atomic<std::uint32_t> answered_{0};       // futex: number of calls made
    std::atomic<bool> ending_{false};              // set before the last increment of `asked_`
    FutexLock calling_;                            // serialises calls; held with all signals blocked
    // The call in progress: written under `calling_`, read by the keeper's thread, which writes `result_`.
    unsigned long request_ = 0;
    void* argument_ = nullptr;
    long result_ = 0;
    ServiceThread thread_;  // last: joined before the other members are destroyed
};

}  // namespace faultline::sys
