// NoForkSection: marks a section of a thread in which fork must not copy the process: the thread holds a heap's lock,
// or blocks that are in neither a span nor a cache. Fork waits until no thread is inside a section, and keeps new ones
// out. It is no lock: any number of threads may be inside. A thread's own cache needs none of this; see ThreadCache.
#pragma once

#include "sys/futex.hpp"
#include "sys/quiescence.hpp"

#include <atomic>
#include <cstdint>
#include <optional>

namespace faultline::heap {

/// While an object lives, no thread forks. Objects nest. The section may fault on managed memory: a forking thread
/// keeps faults answered until all sections have ended.
class NoForkSection {
public:
    NoForkSection() noexcept {
        if (depth_++ == 0) enter();
    }
    ~NoForkSection() {
        if (--depth_ == 0) inside_.reset();
    }
    NoForkSection(const NoForkSection&) = delete;
    NoForkSection& operator=(const NoForkSection&) = delete;

    /// Waits until no thread is inside a section. New sections sleep until `reopen`.
    static void close() {
        closed_.store(1);
        threads_.synchronize();
    }
    static void reopen() noexcept {
        closed_.store(0);
        sys::futex_wake(closed_);
    }
    /// `reopen` in a child of fork, which has none of the parent's other threads.
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
