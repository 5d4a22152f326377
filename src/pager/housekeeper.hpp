// Housekeeper: the pager's background thread. Evicts ahead of need when frames run low, turns recorded events into
// messages, and returns freed space of the stores. It never touches managed memory.
#pragma once

#include "core/signal_safe.hpp"
#include "store/write_queue.hpp"
#include "sys/service_thread.hpp"

#include <atomic>
#include <cstdint>
#include <memory>

namespace faultline::detail {

class Pager;

class Housekeeper {
public:
    /// Starts the thread. Throws std::system_error.
    explicit Housekeeper(Pager& pager);
    ~Housekeeper();
    Housekeeper(const Housekeeper&) = delete;
    Housekeeper& operator=(const Housekeeper&) = delete;

    /// There is something to do. Signal-safe; free when the thread already knows.
    void wake() FAULTLINE_SIGNAL_SAFE;

private:
    void run() noexcept;
    void wait();

    Pager& pager_;
    std::atomic<std::uint32_t> wanted_{0};  // futex: 1 when woken
    std::atomic<bool> stopping_{false};
    std::unique_ptr<store::WriteQueue> queue_;
    sys::ServiceThread thread_;  // last: joined before the rest goes
};

}  // namespace faultline::detail
