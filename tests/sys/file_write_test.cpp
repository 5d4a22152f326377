// A write beyond the file size limit fails, and raises no signal.
#include "sys/file_write.hpp"

#include "support/child.hpp"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

namespace faultline::sys {
namespace {

constexpr std::size_t kLimit = 8192;

bool limit_file_size() {
    const rlimit limit{kLimit, kLimit};
    return ::setrlimit(RLIMIT_FSIZE, &limit) == 0;
}

TEST(FileWrite, BeyondTheFileSizeLimitFailsWithoutASignal) {
    const test::ChildEnd end = test::in_child([] {
        const int fd = ::memfd_create("test", MFD_CLOEXEC);
        if (fd < 0 || !limit_file_size()) return 1;
        const std::array<char, 4096> page{};
        if (write_file_at(fd, page.data(), page.size(), kLimit - 4096) != 4096) return 2;
        if (write_file_at(fd, page.data(), page.size(), kLimit) != -EFBIG) return 3;
        if (write_file_at(fd, page.data(), page.size(), kLimit - 1000) != 1000) return 4;
        return 0;
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
}

TEST(FileWrite, LeavesTheSignalMaskAsItWas) {
    const test::ChildEnd end = test::in_child([] {
        const int fd = ::memfd_create("test", MFD_CLOEXEC);
        sigset_t usr1;
        sigemptyset(&usr1);
        sigaddset(&usr1, SIGUSR1);
        if (fd < 0 || !limit_file_size() || ::sigprocmask(SIG_SETMASK, &usr1, nullptr) != 0) return 1;
        if (write_file_at(fd, "x", 1, kLimit) != -EFBIG) return 2;
        sigset_t mask;
        sigset_t pending;
        if (::sigprocmask(SIG_SETMASK, nullptr, &mask) != 0 || ::sigpending(&pending) != 0) return 3;
        if (sigismember(&mask, SIGUSR1) == 0 || sigismember(&mask, SIGXFSZ) != 0) return 4;
        return sigismember(&pending, SIGXFSZ) == 0 ? 0 : 5;
    });
    EXPECT_TRUE(end.exited_with(0)) << end;
}

}  // namespace
}  // namespace faultline::sys
