#include "pager/frame/housekeeper.hpp"

#include "sys/futex.hpp"

#include <chrono>
#include <optional>
#include <utility>

namespace faultline::pager {

Housekeeper::Housekeeper(Housekeeping& duties, EventLog& log, std::unique_ptr<store::WriteQueue> queue)
    : duties_{duties},
      log_{log},
      queue_{std::move(queue)},
      thread_{"fl-evictor", "see `ulimit -u`, or set Config::background_evictor to false", [this] { run(); }} {}

Housekeeper::~Housekeeper() {
    stopping_.store(true);
    wanted_.store(1);
    sys::futex_wake(wanted_, 1);
}

void Housekeeper::wake() FAULTLINE_SIGNAL_SAFE {
    if (wanted_.load(std::memory_order_relaxed) == 0 && wanted_.exchange(1) == 0) sys::futex_wake(wanted_, 1);
}

void Housekeeper::run() noexcept {
    while (!stopping_.load()) {
        if (wanted_.exchange(0) == 0) {
            wait();
            continue;
        }
        if (!queue_) queue_ = duties_.open_queue();
        if (duties_.keep_house(queue_ ? *queue_ : own_queue_)) wanted_.store(1);
        log_.drain();
    }
}

/// Sleeps until `wake`, or until a message is due that was held back.
void Housekeeper::wait() {
    const std::optional<std::chrono::nanoseconds> due = log_.time_to_drain();
    sys::futex_wait(wanted_, 0, due ? &*due : nullptr);
    if (due) log_.drain();
}

}  // namespace faultline::pager
