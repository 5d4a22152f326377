// Housekeeper: the pager's background thread. It evicts ahead of need when frames run low, and returns freed space of
// the stores (both through Housekeeping); it prints the messages that the fault path has recorded. It never touches
// managed memory.
#pragma once

#include "core/signal_safe.hpp"
#include "pager/log/event_log.hpp"
#include "store/write_queue.hpp"
#include "sys/service_thread.hpp"

#include <atomic>
#include <cstdint>
#include <memory>

namespace faultline::pager {

/// What the thread does each time it is woken.
class Housekeeping {
public:
    /// Called on the housekeeper's thread, which is no reader. `queue` is the thread's own. Returns true to be called
    /// again at once: there is more to do.
    [[nodiscard]] virtual bool keep_house(store::WriteQueue& queue) = 0;

    /// Called before keep_house, if the thread has no queue. Returns null to be asked again the next time.
    [[nodiscard]] virtual std::unique_ptr<store::WriteQueue> open_queue() noexcept = 0;

protected:
    ~Housekeeping() = default;
};

class Housekeeper {
public:
    /// Starts the thread. `queue`: for its writes; null: see Housekeeping::open_queue. Throws std::system_error.
    Housekeeper(Housekeeping& duties, EventLog& log, std::unique_ptr<store::WriteQueue> queue);
    /// Joins the thread.
    ~Housekeeper();
    Housekeeper(const Housekeeper&) = delete;
    Housekeeper& operator=(const Housekeeper&) = delete;

    /// Wakes the thread. Signal-safe; costs one load when the thread is awake already.
    void wake() FAULTLINE_SIGNAL_SAFE;

private:
    void run() noexcept;
    void wait();

    Housekeeping& duties_;
    EventLog& log_;
    std::atomic<std::uint32_t> wanted_{0};  // futex: 1 when woken
    std::atomic<bool> stopping_{false};
    std::unique_ptr<store::WriteQueue> queue_;
    store::SequentialWriteQueue own_queue_;  // until there is another
    sys::ServiceThread thread_;              // last: joined before the rest goes
};

}  // namespace faultline::pager
