// ServiceThread: a thread of the library, unknown to the program. It receives none of the program's signals, cannot be
// cancelled, and has a name that shows its owner (`top -H`). It does receive the C library's own signals, by which
// setuid reaches every thread, so its system calls can fail with EINTR. It is not a task queue: it runs one function
// while its owner lives. Its stack lies in OwnPlace if there is one.
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace faultline::sys {

class ServiceThread {
public:
    /// Starts a thread that runs `body`, which must not throw. May return before the body has begun. `name`, a literal,
    /// has at most 15 characters. Throws std::system_error if no thread can be started; `advice` is the remedy in its
    /// message.
    ServiceThread(const char* name, const char* advice, std::function<void()> body);
    /// Joins the thread. The owner has told the body to end.
    ~ServiceThread() { join(); }
    ServiceThread(const ServiceThread&) = delete;
    ServiceThread& operator=(const ServiceThread&) = delete;

    void join() noexcept;

private:
    void run();

    [[nodiscard]] int create(void* (*function)(void*));
    void give_back_stack() noexcept;

    const char* name_;
    std::function<void()> body_;
    std::atomic<std::uint32_t> running_{0};  // futex: 1 when the thread runs
    pthread_t thread_{};
    bool joinable_ = false;
    std::byte* stack_ = nullptr;  // in OwnPlace; null: the C library's
};

}  // namespace faultline::sys
