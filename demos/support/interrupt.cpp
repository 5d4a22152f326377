#include "support/interrupt.hpp"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <system_error>

namespace faultline::demo {
namespace {

std::atomic<bool> came{false};
static_assert(std::atomic<bool>::is_always_lock_free, "set in a signal handler");

void remember(int) { came.store(true, std::memory_order_relaxed); }

}  // namespace

void catch_interrupts() {
    struct sigaction action {};
    action.sa_handler = remember;
    // RESTART: programs check the flag often enough, and an interrupted stdio call could write half a line.
    action.sa_flags = SA_RESTART | static_cast<int>(SA_RESETHAND);
    sigemptyset(&action.sa_mask);
    for (const int signal : {SIGINT, SIGTERM}) {
        if (sigaction(signal, &action, nullptr) != 0) {
            throw std::system_error(errno, std::generic_category(), "cannot catch SIGINT and SIGTERM");
        }
    }
}

bool interrupted() noexcept { return came.load(std::memory_order_relaxed); }

void throw_if_interrupted() {
    if (interrupted()) throw Interrupted{};
}

}  // namespace faultline::demo
