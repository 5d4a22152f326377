#include "support/thread_group.hpp"

#include <exception>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

namespace faultline::demo {

ThreadGroup::ThreadGroup(unsigned count, std::function<void(unsigned)> work, const std::function<void()>& give_up)
    : work_{std::move(work)} {
    threads_.reserve(count);
    for (unsigned i = 0; i < count; ++i) {
        {
            const std::lock_guard lock{mutex_};
            ++running_;
        }
        try {
            threads_.emplace_back(&ThreadGroup::run, this, i);
        } catch (const std::system_error& error) {
            give_up();
            join_started();
            throw std::system_error(error.code(), "cannot start thread " + std::to_string(i + 1) + " of " +
                                                      std::to_string(count) + " (see ulimit -u)");
        }
    }
}

ThreadGroup::~ThreadGroup() { join_started(); }

void ThreadGroup::run(unsigned index) noexcept {
    std::exception_ptr failure;
    try {
        work_(index);
    } catch (...) {
        failure = std::current_exception();
    }
    const std::lock_guard lock{mutex_};
    if (failure && !failure_) failure_ = failure;
    --running_;
    ended_.notify_all();
}

bool ThreadGroup::wait_for(std::chrono::milliseconds patience) {
    std::unique_lock lock{mutex_};
    return ended_.wait_for(lock, patience, [this] { return running_ == 0; });
}

void ThreadGroup::join() {
    join_started();
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

void ThreadGroup::join_started() noexcept {
    for (auto& thread : threads_) {
        if (thread.joinable()) thread.join();
    }
}

}  // namespace faultline::demo
