#include "pager/housekeeper.hpp"

#include "pager/pager.hpp"
#include "sys/error.hpp"
#include "sys/futex.hpp"
#include "sys/signal_block.hpp"

#include <pthread.h>

#include <memory>
#include <system_error>

namespace faultline::detail {

Housekeeper::Housekeeper(Pager& pager) : pager_{pager} {
    const sys::SignalBlock inherited;
    try {
        thread_ = std::thread{[this] { run(); }};
    } catch (const std::system_error& error) {
        sys::throw_error(error.code().value(),
                         "cannot start the background evictor; see `ulimit -u`, or set "
                         "Config::background_evictor to false");
    }
}

Housekeeper::~Housekeeper() {
    stopping_.store(true);
    wanted_.store(1);
    sys::futex_wake(wanted_, 1);
    thread_.join();
}

void Housekeeper::wake() FAULTLINE_SIGNAL_SAFE {
    if (wanted_.load(std::memory_order_relaxed) == 0 && wanted_.exchange(1) == 0) sys::futex_wake(wanted_, 1);
}

void Housekeeper::run() noexcept {
    ::pthread_setname_np(::pthread_self(), "fl-evictor");
    std::unique_ptr<store::WriteQueue> queue = store::RingWriteQueue::create();
    if (!queue) queue = std::make_unique<store::SequentialWriteQueue>();
    while (!stopping_.load()) {
        if (wanted_.exchange(0) == 0) {
            sys::futex_wait(wanted_, 0);
            continue;
        }
        pager_.keep_house(*queue);
    }
}

}  // namespace faultline::detail
