// System calls without libc, errors with libc, and the ids of processes and threads.
#include "core/check.hpp"
#include "sys/cpu.hpp"
#include "sys/error.hpp"
#include "sys/fork_watch.hpp"
#include "sys/syscall.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <linux/prctl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <barrier>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <set>
#include <system_error>
#include <thread>
#include <vector>

extern "C" const char __executable_start;  // defined by the linker: the begin of the program's code
extern "C" const char etext;

namespace faultline::test {
namespace {

using testing::HasSubstr;

TEST(RawSyscall, ReturnsWhatTheKernelReturns) {
    EXPECT_EQ(sys::raw_syscall(SYS_getpid), ::getpid());
    EXPECT_EQ(sys::error_of(sys::raw_syscall(SYS_getpid)), 0);
}

TEST(RawSyscall, ReturnsErrorsNegatedAndLeavesErrnoAlone) {
    errno = 1234;
    EXPECT_EQ(sys::raw_syscall(SYS_close, -1), -EBADF);
    EXPECT_EQ(sys::raw_syscall(SYS_read, -1, 0, 0), -EBADF);
    EXPECT_EQ(sys::raw_syscall(100'000), -ENOSYS);
    EXPECT_EQ(errno, 1234);
}

TEST(RawSyscall, PassesAllSixArguments) {
    constexpr std::size_t kBytes = 4096;
    const int fd = ::memfd_create("six", MFD_CLOEXEC);
    ASSERT_GE(fd, 0);
    ASSERT_EQ(::ftruncate(fd, 3 * kBytes), 0);
    ASSERT_EQ(::pwrite(fd, "here", 4, 2 * kBytes), 4);
    const long mapped = sys::raw_syscall(SYS_mmap, 0, kBytes, PROT_READ, MAP_SHARED, fd, 2 * kBytes);
    ASSERT_EQ(sys::error_of(mapped), 0);
    auto* const address = reinterpret_cast<char*>(mapped);
    EXPECT_EQ(std::memcmp(address, "here", 4), 0);
    EXPECT_EQ(sys::raw_syscall(SYS_munmap, mapped, kBytes), 0);
    ::close(fd);
}

TEST(ErrorOf, TellsErrorsFromAddresses) {
    EXPECT_EQ(sys::error_of(-EPERM), EPERM);
    EXPECT_EQ(sys::error_of(-4095), 4095);
    EXPECT_EQ(sys::error_of(-4096), 0);
    EXPECT_EQ(sys::error_of(0), 0);
    EXPECT_EQ(sys::error_of(0x7fff'ffff'f000), 0);
}

TEST(ThrowError, CarriesTheNumberAndTheText) {
    try {
        sys::throw_error(ENOSPC, "no room for the swap file");
    } catch (const std::system_error& error) {
        EXPECT_EQ(error.code(), std::error_code(ENOSPC, std::system_category()));
        EXPECT_THAT(error.what(), HasSubstr("faultline: no room for the swap file"));
        EXPECT_THAT(error.what(), HasSubstr("No space left on device"));
    }
}

TEST(ReadableBytes, NamesTheLargestUnitThatFits) {
    EXPECT_EQ(sys::readable_bytes(0), "0 bytes");
    EXPECT_EQ(sys::readable_bytes(1023), "1023 bytes");
    EXPECT_EQ(sys::readable_bytes(1024), "1.0 KiB");
    EXPECT_EQ(sys::readable_bytes(1536), "1.5 KiB");
    EXPECT_EQ(sys::readable_bytes(std::uint64_t{64} << 20), "64.0 MiB");
    EXPECT_EQ(sys::readable_bytes(std::uint64_t{8} << 40), "8.0 TiB");
    EXPECT_EQ(sys::readable_bytes(~std::uint64_t{0}), "16.0 EiB");
}

TEST(Fatal, SaysWhereAndStopsTheProcess) {
    EXPECT_EXIT(core::fatal("all is lost", "some_file.cpp", 4711), testing::KilledBySignal(SIGABRT),
                "faultline: all is lost \\(some_file.cpp:4711\\)");
}

/// Fails as in a fault handler of a program with syscall user dispatch: the C library's system calls would end it.
[[noreturn]] void fail_with_calls_of_libc_barred() {
    static char barred = 1;  // SYSCALL_DISPATCH_FILTER_BLOCK
    const std::uint64_t all = ~std::uint64_t{0};
    const auto code = reinterpret_cast<std::uintptr_t>(&__executable_start);
    sys::raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, sys::syscall_argument(&all), 0, sizeof all);
    const long result =
        sys::raw_syscall(SYS_prctl, PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, code,
                         reinterpret_cast<std::uintptr_t>(&etext) - code, sys::syscall_argument(&barred));
    core::fatal(result == 0 ? "all is lost" : "there is no dispatch here", "some_file.cpp", 4711);
}

TEST(Fatal, StopsTheProcessAlsoWhereCallsOfTheCLibraryAreBarred) {
#ifdef __SANITIZE_ADDRESS__
    GTEST_SKIP() << "AddressSanitizer calls the C library before a function that does not return";
#endif
    EXPECT_EXIT(fail_with_calls_of_libc_barred(), testing::KilledBySignal(SIGABRT), "faultline: all is lost");
}

TEST(Require, StopsTheProcessInEveryBuild) {
    EXPECT_DEATH(FAULTLINE_REQUIRE(1 + 1 == 3, "arithmetic is off"), "arithmetic is off");
    FAULTLINE_REQUIRE(1 + 1 == 2, "arithmetic is off");
}

/// Forks and runs `body` in the child. Returns the child's exit code.
template <typename Body>
int in_a_child(Body body) {
    const pid_t child = ::fork();
    if (child == 0) std::_Exit(body());
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status));
    return WEXITSTATUS(status);
}

TEST(ProcessGeneration, StaysTheSameInOneProcess) {
    const unsigned generation = sys::process_generation();
    EXPECT_EQ(sys::process_generation(), generation);
    std::thread{[generation] { EXPECT_EQ(sys::process_generation(), generation); }}.join();
}

TEST(ProcessGeneration, DiffersInAChildAndItsChild) {
    const unsigned parent = sys::process_generation();
    const int result = in_a_child([parent] {
        const unsigned child = sys::process_generation();
        if (child == parent) return 1;
        return in_a_child([parent, child] {
            const unsigned grandchild = sys::process_generation();
            return grandchild == parent || grandchild == child ? 2 : 0;
        });
    });
    EXPECT_EQ(result, 0);
    EXPECT_EQ(sys::process_generation(), parent);
}

int calls_before_fork = 0;
int calls_in_parent = 0;
int calls_in_child = 0;

TEST(ForkHandlers, AreCalledOnceEachOnTheirOwnSide) {
    static constexpr sys::ForkHandlers kCounting{[] { ++calls_before_fork; }, [] { ++calls_in_parent; },
                                                 [] { ++calls_in_child; }};
    calls_before_fork = calls_in_parent = calls_in_child = 0;
    sys::set_fork_handlers(sys::ForkParty::lower, &kCounting);
    EXPECT_EQ(in_a_child([] { return calls_before_fork * 100 + calls_in_parent * 10 + calls_in_child; }), 101);
    EXPECT_EQ(calls_before_fork * 100 + calls_in_parent * 10 + calls_in_child, 110);
    sys::set_fork_handlers(sys::ForkParty::lower, nullptr);
    EXPECT_EQ(in_a_child([] { return calls_in_child; }), 0);
}

TEST(ThreadToken, TellsLivingThreadsApart) {
    constexpr std::size_t kThreads = 16;
    std::vector<std::uint64_t> tokens(kThreads);
    std::barrier all_alive{static_cast<std::ptrdiff_t>(kThreads)};
    std::vector<std::thread> threads;
    for (std::uint64_t& token : tokens) {
        threads.emplace_back([&token, &all_alive] {
            token = sys::thread_token();
            EXPECT_EQ(sys::thread_token(), token);
            all_alive.arrive_and_wait();
        });
    }
    for (std::thread& thread : threads) thread.join();
    std::set<std::uint64_t> different(tokens.begin(), tokens.end());
    different.insert(sys::thread_token());
    EXPECT_EQ(different.size(), kThreads + 1);
    EXPECT_FALSE(different.contains(0)) << "0 means nobody";
}

TEST(AllowedCpus, CountsThoseTheThreadMayUse) {
    EXPECT_GE(sys::allowed_cpus(), 1U);
    std::thread{[] {
        cpu_set_t here;
        CPU_ZERO(&here);
        CPU_SET(sys::current_cpu(), &here);
        ASSERT_EQ(::sched_setaffinity(0, sizeof here, &here), 0);
        EXPECT_EQ(sys::allowed_cpus(), 1U);
        EXPECT_TRUE(CPU_ISSET(sys::current_cpu(), &here));
    }}.join();
}

}  // namespace
}  // namespace faultline::test
