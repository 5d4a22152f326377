// TransientWait: retries transient errors, sleeps in between, gives up after a limit, and counts the errors it waited
// out.
#include "sys/transient.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <map>
#include <string>

namespace faultline::test {
namespace {

using namespace std::chrono_literals;
using sys::OutOfMemory;
using sys::TransientWait;

/// Returns how often each error of `call` was waited out since the last call, in this process.
std::map<int, std::uint64_t> waited_out(const std::string& call) {
    std::map<int, std::uint64_t> times;
    for (;;) {
        const sys::TransientError one = sys::take_transient();
        if (one.times == 0) return times;
        if (one.call == call) times[one.error] += one.times;
    }
}

TEST(TransientWait, RepeatsOnlyWhatPassesByItself) {
    for (const int error : {EINTR, EAGAIN, ENOMEM, EBUSY, ENOBUFS}) EXPECT_TRUE(TransientWait{"a call"}.again(error));
    for (const int error : {0, EIO, ENOSPC, EINVAL, EFAULT, EBADF, EEXIST, ENOENT, EPERM}) {
        EXPECT_FALSE(TransientWait{"a call"}.again(error));
    }
}

TEST(TransientWait, LeavesALackOfMemoryToACallerThatAsksForIt) {
    for (const int error : {ENOMEM, EBUSY}) {
        EXPECT_FALSE((TransientWait{"a call", OutOfMemory::report}.again(error)));
        EXPECT_EQ(sys::wait_out(
                      "a call", [&] { return error; }, OutOfMemory::report),
                  error);
    }
    for (const int error : {EINTR, EAGAIN, ENOBUFS}) {
        EXPECT_TRUE((TransientWait{"a call", OutOfMemory::report}.again(error)));
    }
}

TEST(TransientWait, GivesUpWhenItsPatienceIsOver) {
    TransientWait wait{"a stubborn call", OutOfMemory::wait, 5ms};
    unsigned tries = 0;
    while (wait.again(ENOMEM)) ++tries;
    EXPECT_GE(tries, 1U);  // one sleep may take the whole time on a busy machine
    EXPECT_LT(tries, 5000U) << "it does not sleep between two tries";
    EXPECT_FALSE(wait.again(ENOMEM));
}

TEST(TransientWait, GivesUpWithoutASleepWhenItsPatienceIsOverInAnInnerWait) {
    TransientWait outer{"an outer call", OutOfMemory::wait, 20ms};
    unsigned inner_waits = 0;
    do {
        TransientWait inner{"an inner call", OutOfMemory::wait, 10ms};
        while (inner.again(EBUSY)) {
        }
        ++inner_waits;
    } while (outer.again(EBUSY));
    EXPECT_LE(inner_waits, 4U);
}

TEST(TransientWait, CountsWhatItHasWaitedOutByCallAndError) {
    static_cast<void>(waited_out(""));
    EXPECT_EQ(sys::wait_out("a counted call", [left = 3]() mutable { return left-- > 0 ? ENOMEM : 0; }), 0);
    EXPECT_EQ(sys::wait_out("a counted call", [left = 2]() mutable { return left-- > 0 ? EBUSY : EIO; }), EIO);
    EXPECT_EQ(waited_out("a counted call"), (std::map<int, std::uint64_t>{{ENOMEM, 3}, {EBUSY, 2}}));
    EXPECT_TRUE(waited_out("a counted call").empty()) << "said once";
}

}  // namespace
}  // namespace faultline::test
