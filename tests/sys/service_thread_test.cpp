// ServiceThread: the program's signals and cancellation do not reach the library's threads.

#include "sys/service_thread.hpp"

#include "sys/signal_block.hpp"
#include "sys/syscall.hpp"

#include <gtest/gtest.h>
#include <pthread.h>

#include <array>
#include <csignal>
#include <cstdint>

namespace faultline::test {
namespace {

TEST(ServiceThread, HasItsName) {
    std::array<char, 16> name{};
    {
        const sys::ServiceThread service{"fl-test", "no advice",
                                         [&] { ::pthread_getname_np(::pthread_self(), name.data(), name.size()); }};
    }
    EXPECT_STREQ(name.data(), "fl-test");
}

TEST(ServiceThread, TakesNoSignalAndCannotBeCancelled) {
    sigset_t blocked;
    ::sigemptyset(&blocked);
    bool cancelled = true;
    {
        sys::ServiceThread service{"fl-test", "no advice", [&] {
                                       ::pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
                                       ::pthread_cancel(::pthread_self());
                                       ::pthread_testcancel();
                                       cancelled = false;
                                   }};
    }
    EXPECT_FALSE(cancelled);
    for (const int signal : {SIGINT, SIGTERM, SIGSEGV, SIGBUS, SIGALRM, SIGUSR1, SIGRTMIN}) {
        EXPECT_EQ(::sigismember(&blocked, signal), 1) << signal;
    }
}

TEST(ServiceThread, TakesTheSignalsOfTheCLibraryWhateverItsMakerBlocks) {
    std::uint64_t blocked = 0;
    const std::uint64_t libcs = sys::libc_signals();
    EXPECT_NE(libcs, 0U);
    {
        const sys::SignalBlock all;
        const sys::ServiceThread service{"fl-test", "no advice", [&] {
                                             sys::raw_syscall(SYS_rt_sigprocmask, SIG_BLOCK, 0,
                                                              sys::syscall_argument(&blocked), sizeof blocked);
                                         }};
    }
    EXPECT_EQ(blocked & libcs, 0U);
}

TEST(ServiceThread, LeavesItsMakersSignalsAsTheyWere) {
    sigset_t before;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &before);
    {
        const sys::ServiceThread service{"fl-test", "no advice", [] {}};
    }
    sigset_t after;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &after);
    EXPECT_EQ(::sigismember(&before, SIGUSR1), ::sigismember(&after, SIGUSR1));
}

}  // namespace
}  // namespace faultline::test
