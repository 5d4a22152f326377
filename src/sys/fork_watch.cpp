#include "sys/fork_watch.hpp"

#include "sys/error.hpp"

#include <pthread.h>

#include <atomic>

namespace faultline::sys {
namespace {

std::atomic<unsigned> generation{0};

void in_child() noexcept { generation.fetch_add(1); }

}  // namespace

unsigned process_generation() noexcept {
    static const int registered = ::pthread_atfork(nullptr, nullptr, &in_child);
    static_cast<void>(registered);  // fails only without memory, and then the next allocation says so
    return generation.load();
}

void call_in_children(void (*function)()) {
    if (const int error = ::pthread_atfork(nullptr, nullptr, function)) {
        throw_error(error, "cannot prepare for fork");
    }
}

}  // namespace faultline::sys
