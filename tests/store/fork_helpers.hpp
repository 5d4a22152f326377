// Forks with a swap space, as a pager does, and signals between the two processes.
#pragma once

#include "store/swap_fixture.hpp"
#include "store/write_queue.hpp"

#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <utility>

namespace faultline::test {

/// A pipe: sends one byte from one process to another, or tells when all possible senders have ended.
class Signal {
public:
    Signal() {
        std::array<int, 2> ends{};
        if (::pipe(ends.data()) != 0) std::_Exit(99);
        from_ = ends[0];
        to_ = ends[1];
    }
    ~Signal() {
        ::close(from_);
        no_more();
    }
    Signal(const Signal&) = delete;
    Signal& operator=(const Signal&) = delete;

    void send(char what = '.') const { EXPECT_EQ(::write(to_, &what, 1), 1); }
    void no_more() { ::close(std::exchange(to_, -1)); }
    /// Returns the byte, or 0 when all possible senders have ended.
    [[nodiscard]] char wait() const {
        char what = 0;
        return ::read(from_, &what, 1) == 1 ? what : '\0';
    }

private:
    int from_ = -1;
    int to_ = -1;
};

[[noreturn]] inline void exit_with_verdict() {
    std::fflush(nullptr);
    std::_Exit(testing::Test::HasFailure() ? 1 : 0);
}

inline void expect_good_end_of(pid_t child) {
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "status " << status;
}

/// Forks with the swap space. Runs `in_child` in the child, checks its slots, and ends it.
inline pid_t fork_with(SwapMachine& swap, const std::function<void()>& in_child) {
    store::SequentialWriteQueue queue;
    swap.space().prepare_fork(queue);
    const pid_t child = ::fork();
    if (child == 0) {
        ::alarm(300);
        swap.space().continue_as(store::ForkSide::child);
        in_child();
        swap.audit();
        exit_with_verdict();
    }
    EXPECT_GT(child, 0);
    swap.space().continue_as(store::ForkSide::parent);
    return child;
}

/// Does what one side does at a fork, without forking.
inline void as_if_forked(SwapMachine& swap, store::ForkSide side = store::ForkSide::parent) {
    store::SequentialWriteQueue queue;
    swap.space().prepare_fork(queue);
    swap.space().continue_as(side);
}

}  // namespace faultline::test
