// StandstillWriter: a thread with a write queue, for what has to be written while nothing else of the process goes on.
// The thread and the queue are made before a standstill, and end after it: in between, a thread that calls setuid may
// hold the C library's list of threads and wait for a thread that waits for the end of the standstill.
//
// Writing is not for the thread that asks for it: the kernel interrupts the calls of every thread that has submitted to
// a ring when the ring is closed.
#pragma once

#include "store/write_queue.hpp"
#include "sys/service_thread.hpp"

#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>

namespace faultline::pager {

class StandstillWriter {
public:
    using Job = std::function<void(store::WriteQueue&)>;

    /// Returns when the queue is open. `thread_name`: as for ServiceThread. Throws std::system_error without a thread.
    explicit StandstillWriter(const char* thread_name);
    /// Joins the thread. Not while signals are blocked (sys::SignalBlock).
    ~StandstillWriter();
    StandstillWriter(const StandstillWriter&) = delete;
    StandstillWriter& operator=(const StandstillWriter&) = delete;

    /// Runs `job` on the thread, and returns when it has ended. Throws what the job throws, or why there is no queue.
    void run(const Job& job);

private:
    enum class State : std::uint32_t { opening, idle, working, ending };

    void serve() noexcept;
    void set(State state) noexcept;
    void wait_while(State state) noexcept;
    void do_job() noexcept;

    const Job* job_ = nullptr;    // while working
    std::exception_ptr failure_;  // of the queue, or of the last job
    std::unique_ptr<store::WriteQueue> queue_;
    std::atomic<std::uint32_t> state_{static_cast<std::uint32_t>(State::opening)};  // futex
    sys::ServiceThread thread_;                                                     // last: joined before the rest goes
};

}  // namespace faultline::pager
