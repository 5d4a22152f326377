// ServiceThread: a thread of the library's own, which the program neither made nor knows. It takes none of the
// program's signals, cannot be cancelled, and has a name that says whose it is (`top -H`). It takes the C library's own
// signals, by which setuid reaches every thread: system calls of the thread can fail with EINTR. It is not a task
// queue: it runs one function, for as long as its owner lives.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>

namespace faultline::sys {

class ServiceThread {
public:
    /// Returns when the thread has begun to run `body`, which must not throw: nothing of how a thread starts, which
    /// allocates, is still going on if the program forks next (a sanitizer's allocator does not survive that).
    /// `name`: at most 15 characters. Throws std::system_error, with `advice` as what to do, when none can be started.
    ServiceThread(const char* name, const char* advice, std::function<void()> body);
    /// The owner has told the body to end.
    ~ServiceThread() { join(); }
    ServiceThread(const ServiceThread&) = delete;
    ServiceThread& operator=(const ServiceThread&) = delete;

    void join() noexcept {
        if (thread_.joinable()) thread_.join();
    }

private:
    std::function<void()> body_;
    std::atomic<std::uint32_t> running_{0};  // futex
    std::thread thread_;
};

}  // namespace faultline::sys
