// DescriptorKeeper: keeps an open file open whatever the program does with its number. A thread with a descriptor table
// of its own, in which there is nothing else, sleeps for as long as the keeper lives.
//
// A userfaultfd needs this: when the last descriptor of one is closed (close_range(3, ~0U, 0) is all it takes) the
// kernel lets every absent page read as zeros.
#pragma once

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

private:
    static constexpr std::uint32_t kStarting = 0;
    static constexpr std::uint32_t kKept = 1;
    static constexpr std::uint32_t kRefused = 2;
    static constexpr std::uint32_t kEnding = 3;

    void keep(int fd) noexcept;

    std::atomic<std::uint32_t> state_{kStarting};
    ServiceThread thread_;  // last: joined before the rest goes
};

}  // namespace faultline::sys
