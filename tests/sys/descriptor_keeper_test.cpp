// DescriptorKeeper: a file stays open after the program closes its number, and no other file does. The test uses pipes:
// a reader gets end-of-file exactly when no process has the write end open.
#include "sys/descriptor_keeper.hpp"

#include "sys/file_descriptor.hpp"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <thread>
#include <vector>

namespace faultline::test {
namespace {

struct Pipe {
    Pipe() {
        std::array<int, 2> ends{};
        EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK), 0);
        read_end = sys::FileDescriptor{ends[0]};
        write_end = sys::FileDescriptor{ends[1]};
    }
    /// Returns true if the write end is still open.
    [[nodiscard]] bool is_open() const {
        char nothing = 0;
        return ::read(read_end.get(), &nothing, 1) < 0 && errno == EAGAIN;
    }
    sys::FileDescriptor read_end;
    sys::FileDescriptor write_end;
};

TEST(DescriptorKeeper, KeepsOneFileAndNoOther) {
    Pipe before;
    Pipe kept;
    Pipe after;
    {
        const sys::DescriptorKeeper keeper{kept.write_end.get()};
        if (!keeper.keeps()) GTEST_SKIP() << "no second descriptor table here";
        for (Pipe* const each : {&before, &kept, &after}) each->write_end.reset();
        EXPECT_FALSE(before.is_open());
        EXPECT_TRUE(kept.is_open());
        EXPECT_FALSE(after.is_open());
    }
    EXPECT_FALSE(kept.is_open());
}

TEST(DescriptorKeeper, LeavesTheProgramsDescriptorsAlone) {
    Pipe low;
    Pipe kept;
    Pipe high;
    const sys::DescriptorKeeper keeper{kept.write_end.get()};
    for (Pipe* const each : {&low, &kept, &high}) {
        EXPECT_EQ(::write(each->write_end.get(), "x", 1), 1);
    }
}

TEST(DescriptorKeeper, MakesCallsOnAFileThatTheProgramHasClosed) {
    Pipe kept;
    const int number = kept.read_end.get();
    sys::DescriptorKeeper keeper{number};
    if (!keeper.keeps()) GTEST_SKIP() << "no second descriptor table here";
    EXPECT_EQ(::write(kept.write_end.get(), "text", 4), 4);
    kept.read_end.reset();
    for (int i = 0; i < 100; ++i) {
        int bytes = 0;
        EXPECT_EQ(::ioctl(number, FIONREAD, &bytes), -1);
        EXPECT_EQ(keeper.ioctl(FIONREAD, &bytes, EBADF), 0);
        EXPECT_EQ(bytes, 4);
    }
}

TEST(DescriptorKeeper, MakesCallsOfManyThreads) {
    Pipe kept;
    sys::DescriptorKeeper keeper{kept.read_end.get()};
    if (!keeper.keeps()) GTEST_SKIP() << "no second descriptor table here";
    EXPECT_EQ(::write(kept.write_end.get(), "text", 4), 4);
    std::vector<std::thread> threads;
    std::atomic<int> right{0};
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
            for (int call = 0; call < 200; ++call) {
                int bytes = 0;
                if (keeper.ioctl(FIONREAD, &bytes, EPERM) == 0 && bytes == 4) ++right;
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(right, 800);
}

}  // namespace
}  // namespace faultline::test
