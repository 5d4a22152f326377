// SlowPath: says that a thread is somewhere in a heap where a copy of the process would find things half done: holding
// a lock, or with blocks that are neither in a span nor in a cache. Fork waits for all who are, and keeps others out.
// What takes blocks out of a thread's own cache and puts them there needs none of this; see ThreadCache.
#pragma once

#include "sys/quiescence.hpp"
#include "sys/futex.hpp"

#include <atomic>
#include <cstdint>
#include <optional>

namespace faultline::heap {

/// While one lives, no thread forks. They nest. It may fault: who forks lets faults be answered until it is gone.
class SlowPath {
public:
    SlowPath() noexcept {
        if (depth_++ == 0) enter();
    }
    ~SlowPath() {
        if (--depth_ == 0) inside_.reset();
    }
    SlowPath(const SlowPath&) = delete;
    SlowPath& operator=(const SlowPath&) = delete;

    /// Returns when there is none left. Nobody gets into one until `reopen`.
    static void close() {
        closed_.store(1);
        threads_.synchronize();
    }
    static void reopen() noexcept {
        closed_.store(0);
        sys::futex_wake(closed_);
    }
    /// The same in a child of fork, which has none of the other threads.
    static void reopen_in_child() noexcept {
        threads_.start_in_child();
        reopen();
    }

private:
    void enter() noexcept {
        inside_.emplace(threads_);
        while (closed_.load() != 0) [[unlikely]] {
                inside_.reset();
                sys::futex_wait(closed_, 1);
                inside_.emplace(threads_);
            }
    }

    static constinit inline sys::Quiescence threads_{};
    static constinit inline std::atomic<std::uint32_t> closed_{0};
    [[gnu::tls_model("initial-exec")]] static thread_local constinit inline int depth_ = 0;

    std::optional<sys::Quiescence::Reader> inside_;
};

}  // namespace faultline::heap
