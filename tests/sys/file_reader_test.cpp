// FileReader: reads for other threads, without a number in their descriptor table.
#include "sys/file_reader.hpp"

#include "sys/file_read.hpp"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <optional>
#include <string_view>
#include <thread>

namespace faultline::test {
namespace {

std::string_view read_name(std::array<char, 4096>& text) { return sys::read_file_start("/proc/self/status", text); }

TEST(FileReader, ReadsWhatTheCallerWouldRead) {
    std::array<char, 4096> text{};
    EXPECT_FALSE(sys::FileReader::try_read("/proc/self/status", text).has_value());
    const sys::FileReader reader;
    EXPECT_TRUE(read_name(text).starts_with("Name:"));
    EXPECT_TRUE(sys::read_file_start("/no such file", text).empty());
}

TEST(FileReader, TakesNoNumberOfTheProgram) {
    std::optional<sys::FileReader> reader{std::in_place};
    std::array<char, 4096> of_caller{};
    if (!sys::FileReader::try_read("/proc/self/status", of_caller)) GTEST_SKIP() << "no second descriptor table here";
    const int lowest = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    std::atomic<bool> stop{false};
    std::thread background{[&] {
        std::array<char, 4096> text{};
        while (!stop.load()) EXPECT_FALSE(read_name(text).empty());
    }};
    int others = 0;
    for (int i = 0; i < 20000; ++i) {
        ::close(lowest);
        const int got = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (got == lowest) continue;
        ++others;
        ::dup2(got, lowest);
        ::close(got);
    }
    stop.store(true);
    background.join();
    ::close(lowest);
    EXPECT_EQ(others, 0);
}

TEST(FileReader, IsNotUsedByAChildOfFork) {
    std::optional<sys::FileReader> reader{std::in_place};
    const pid_t child = ::fork();
    if (child == 0) {
        std::array<char, 4096> text{};
        bool works = read_name(text).starts_with("Name:");
        if (works) {
            const sys::FileReader own;
            works = read_name(text).starts_with("Name:");
        }
        ::_exit(works ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace faultline::test
