#include "sys/fork_watch.hpp"

#include "core/check.hpp"

#include <pthread.h>

#include <atomic>

namespace faultline::sys {
namespace {

std::atomic<unsigned> generation{0};
std::atomic<const ForkHandlers*> current{nullptr};

void call(void (*ForkHandlers::*which)()) {
    const ForkHandlers* const handlers = current.load();
    if (handlers != nullptr && handlers->*which != nullptr) (handlers->*which)();
}

void before() { call(&ForkHandlers::before); }
void in_parent() { call(&ForkHandlers::in_parent); }
void in_child() {
    generation.fetch_add(1);
    call(&ForkHandlers::in_child);
}

// While the process starts: handlers registered first are called last before fork, and first after it.
const bool registered = [] {
    const int error = ::pthread_atfork(&before, &in_parent, &in_child);
    FAULTLINE_REQUIRE(error == 0, "no memory to prepare for fork");
    return true;
}();

}  // namespace

unsigned process_generation() noexcept { return generation.load(); }

void set_fork_handlers(const ForkHandlers* handlers) noexcept { current.store(handlers); }

}  // namespace faultline::sys
