// ThreadGroup: the worker threads of one phase. The thread that started them can draw while it waits. It is no pool.
#pragma once

#include <chrono>
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace faultline::demo {

/// Used by one thread. The work must end by itself or by a flag of the caller: the destructor joins.
class ThreadGroup {
public:
    /// Calls `work(0)` to `work(count - 1)`, each on its own thread. If a thread cannot start, calls `give_up`, joins
    /// the others and throws std::system_error.
    ThreadGroup(unsigned count, std::function<void(unsigned)> work, const std::function<void()>& give_up);
    ~ThreadGroup();
    ThreadGroup(const ThreadGroup&) = delete;
    ThreadGroup& operator=(const ThreadGroup&) = delete;

    /// Waits until all threads have ended, at most for `patience`. Returns whether they have.
    bool wait_for(std::chrono::milliseconds patience);

    /// Waits for all threads, and rethrows the exception of the first that failed.
    void join();

private:
    void run(unsigned index) noexcept;
    void join_started() noexcept;

    std::function<void(unsigned)> work_;
    std::vector<std::thread> threads_;
    std::mutex mutex_;  // guards the three fields below
    std::condition_variable ended_;
    unsigned running_ = 0;
    std::exception_ptr failure_;
};

}  // namespace faultline::demo
