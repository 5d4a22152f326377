#include "sys/fork_watch.hpp"

#include "core/check.hpp"
#include "sys/own_heap.hpp"

#include <pthread.h>

#include <array>
#include <atomic>
#include <cstddef>

namespace faultline::sys {
namespace {

std::atomic<unsigned> generation{0};
std::array<std::atomic<const ForkHandlers*>, 4> handlers_of{};

void call(ForkParty party, void (*ForkHandlers::*which)()) {
    const ForkHandlers* const handlers = handlers_of[static_cast<std::size_t>(party)].load();
    if (handlers != nullptr && handlers->*which != nullptr) (handlers->*which)();
}

void before() {
    call(ForkParty::outer, &ForkHandlers::before);
    call(ForkParty::upper, &ForkHandlers::before);
    call(ForkParty::lower, &ForkHandlers::before);
    call(ForkParty::allocator, &ForkHandlers::before);
    OwnHeap::before_fork();
}
void in_parent() {
    OwnHeap::after_fork_in_parent();
    call(ForkParty::allocator, &ForkHandlers::in_parent);
    call(ForkParty::lower, &ForkHandlers::in_parent);
    call(ForkParty::upper, &ForkHandlers::in_parent);
    call(ForkParty::outer, &ForkHandlers::in_parent);
}
void in_child() {
    generation.fetch_add(1);
    OwnHeap::after_fork_in_child();
    call(ForkParty::allocator, &ForkHandlers::in_child);
    call(ForkParty::lower, &ForkHandlers::in_child);
    call(ForkParty::upper, &ForkHandlers::in_child);
    call(ForkParty::outer, &ForkHandlers::in_child);
}

// Runs while the process starts.
const bool watched = [] {
    watch_forks();
    return true;
}();

}  // namespace

unsigned process_generation() noexcept { return generation.load(); }

void watch_forks() noexcept {
    static std::atomic<bool> begun{false};
    if (begun.exchange(true)) return;
    const int error = ::pthread_atfork(&before, &in_parent, &in_child);
    FAULTLINE_REQUIRE(error == 0, "cannot register fork handlers (pthread_atfork): out of memory");
}

void set_fork_handlers(ForkParty party, const ForkHandlers* handlers) noexcept {
    handlers_of[static_cast<std::size_t>(party)].store(handlers);
}

}  // namespace faultline::sys
