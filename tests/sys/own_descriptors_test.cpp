// The list of the library's descriptors, which FileDescriptor keeps.
#include "sys/own_descriptors.hpp"

#include "sys/file_descriptor.hpp"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <utility>

namespace faultline::test {
namespace {

int open_null() { return ::open("/dev/null", O_RDWR | O_CLOEXEC); }

TEST(OwnDescriptors, AreListedAsLongAsTheyAreOpen) {
    int number = -1;
    {
        sys::FileDescriptor file{open_null()};
        number = file.get();
        EXPECT_TRUE(sys::is_own_descriptor(static_cast<unsigned>(number)));
        EXPECT_EQ(sys::next_own_descriptor(static_cast<unsigned>(number)), static_cast<unsigned>(number));
        const sys::FileDescriptor moved = std::move(file);
        EXPECT_TRUE(sys::is_own_descriptor(static_cast<unsigned>(number)));
    }
    EXPECT_FALSE(sys::is_own_descriptor(static_cast<unsigned>(number)));
    EXPECT_EQ(::fcntl(number, F_GETFD), -1);
}

TEST(OwnDescriptors, AreFoundInOrder) {
    const unsigned beyond = 300;
    EXPECT_EQ(sys::next_own_descriptor(beyond), UINT_MAX);
    sys::place_own_descriptors(310);
    const sys::FileDescriptor first{open_null()};
    sys::place_own_descriptors(390);
    const sys::FileDescriptor second{open_null()};
    sys::place_own_descriptors(sys::kLeastOwnDescriptor);
    EXPECT_EQ(first.get(), 310);
    EXPECT_EQ(second.get(), 390);
    EXPECT_EQ(sys::next_own_descriptor(beyond), 310U);
    EXPECT_EQ(sys::next_own_descriptor(311), 390U);
    EXPECT_EQ(sys::next_own_descriptor(391), UINT_MAX);
}

TEST(OwnDescriptors, StayWhereTheLimitAllowsNoHigherNumber) {
    rlimit limit{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
    sys::place_own_descriptors(static_cast<int>(limit.rlim_cur));
    const sys::FileDescriptor file{open_null()};
    sys::place_own_descriptors(sys::kLeastOwnDescriptor);
    EXPECT_GE(file.get(), sys::kLeastOwnDescriptor);
    EXPECT_TRUE(sys::is_own_descriptor(static_cast<unsigned>(file.get())));
}

TEST(OwnDescriptors, AreNeverStandardInputOutputOrError) {
    const pid_t child = ::fork();
    if (child == 0) {
        for (int fd = 0; fd < 3; ++fd) ::close(fd);
        const sys::FileDescriptor file{open_null()};
        bool right = file.get() >= 3;
        for (int fd = 0; fd < 3; ++fd) right = right && ::fcntl(fd, F_GETFD) == -1;
        ::_exit(right ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
}

TEST(OwnDescriptors, AreRefusedWhereOnlyThoseAreLeft) {
    const pid_t child = ::fork();
    if (child == 0) {
        rlimit three{3, 3};
        ::close(1);
        if (::setrlimit(RLIMIT_NOFILE, &three) != 0) ::_exit(2);
        const sys::FileDescriptor file{open_null()};
        ::_exit(!file && errno == EINVAL && ::fcntl(1, F_GETFD) == -1 ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
}

TEST(OwnDescriptors, LeaveAFailedOpenAlone) {
    errno = 0;
    const sys::FileDescriptor file{::open("/no/such/file", O_RDONLY)};
    EXPECT_FALSE(static_cast<bool>(file));
    EXPECT_EQ(errno, ENOENT);
}

}  // namespace
}  // namespace faultline::test
