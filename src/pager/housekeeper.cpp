#include "pager/housekeeper.hpp"

#include "pager/pager.hpp"
#include "sys/futex.hpp"

#include <chrono>
#include <optional>

namespace faultline::detail {

Housekeeper::Housekeeper(Pager& pager)
    : pager_{pager},
      queue_{store::fastest_write_queue()},
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
        if (pager_.keep_house(*queue_)) wanted_.store(1);
    }
}

/// Until it is woken, or a message that was left out is due.
void Housekeeper::wait() {
    const std::optional<std::chrono::nanoseconds> due = pager_.time_to_next_message();
    sys::futex_wait(wanted_, 0, due ? &*due : nullptr);
    if (due) pager_.say_messages();
}

}  // namespace faultline::detail
