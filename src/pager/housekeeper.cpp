#include "pager/housekeeper.hpp"

#include "pager/pager.hpp"
#include "sys/futex.hpp"

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
            sys::futex_wait(wanted_, 0);
            continue;
        }
        pager_.keep_house(*queue_);
    }
}

}  // namespace faultline::detail
