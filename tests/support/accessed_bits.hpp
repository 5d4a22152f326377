// AccessedBitsClearer: clears the accessed bits of mapped pages on a thread of its own, as memory reclaim and DAMON do
// at any time. A system call that moves or protects such a page then finds a changed page table entry and takes a rare
// path in the kernel. Contents stay as they are.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <thread>

namespace faultline::test {

class AccessedBitsClearer {
public:
    /// Clears the bits of [address, address + bytes) repeatedly until it is destroyed. The range may have holes.
    AccessedBitsClearer(void* address, std::size_t bytes)
        : thread_{[this, first = static_cast<std::byte*>(address), bytes] { clear(first, bytes); }} {}
    ~AccessedBitsClearer() {
        stop_.store(true);
        thread_.join();
    }
    AccessedBitsClearer(const AccessedBitsClearer&) = delete;
    AccessedBitsClearer& operator=(const AccessedBitsClearer&) = delete;

private:
    static constexpr std::size_t kAtOnce = std::size_t{64} << 10;
    static constexpr int kColdAdvice = 20;  // MADV_COLD, Linux 5.4

    void clear(std::byte* first, std::size_t bytes) const {
        for (std::size_t done = 0; !stop_.load(); done = done + kAtOnce < bytes ? done + kAtOnce : 0) {
            static_cast<void>(::madvise(first + done, std::min(kAtOnce, bytes - done), kColdAdvice));
        }
    }

    std::atomic<bool> stop_{false};
    std::thread thread_;
};

}  // namespace faultline::test
