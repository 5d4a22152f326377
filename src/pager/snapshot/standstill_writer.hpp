// StandstillWriter: a thread with a write queue, which writes while the rest of the process waits (a standstill, for a
// fork or a clone). ForkSnapshot and CloneSnapshot use it. It is not the pager's ordinary writeback.
//
// Thread and queue are made before a standstill and destroyed after it. During it, a thread that calls setuid may hold
// the C library's list of threads while it waits for the end of the standstill; to make a thread would deadlock.
//
// The calling thread does not write itself: when a ring is closed, the kernel interrupts the system calls of every
// thread that has submitted to it.
#pragma once

#include "store/write_queue.hpp"
#include "sys/service_thread.hpp"

#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>

namespace faultline::pager {

/// One thread at a time calls `run`.
class StandstillWriter {
public:
    /// What to write. Runs on the writer's thread.
    using Job = std::function<void(store::WriteQueue&)>;

    /// Starts the thread, and returns when the queue is open. `thread_name`: as for ServiceThread. Throws
    /// std::system_error if there can be no thread.
    explicit StandstillWriter(const char* thread_name);
    /// Joins the thread. Not while signals are blocked (sys::SignalBlock).
    ~StandstillWriter();
    StandstillWriter(const StandstillWriter&) = delete;
    StandstillWriter& operator=(const StandstillWriter&) = delete;

    /// Runs `job` on the thread, and returns when it has ended. Throws what the job threw, or why the queue is missing.
    void run(const Job& job);

private:
    enum class State : std::uint32_t { opening, idle, working, ending };

    void serve() noexcept;
    void set(State state) noexcept;
    void wait_while(State state) noexcept;
    void do_job() noexcept;

    const Job* job_ = nullptr;    // while working
    std::exception_ptr failure_;  // of opening the queue, or of the last job
    std::unique_ptr<store::WriteQueue> queue_;
    std::atomic<std::uint32_t> state_{static_cast<std::uint32_t>(State::opening)};  // futex; publishes the fields above
    sys::ServiceThread thread_;  // declared last: joined before the other fields are destroyed
};

}  // namespace faultline::pager
