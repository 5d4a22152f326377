// SwapFile: private, removed with its descriptor, and with clear errors. Each test runs on a disk and on a tmpfs.
#include "store/swap_file.hpp"

#include "core/units.hpp"
#include "store/sizes.hpp"
#include "store/swap_directories.hpp"
#include "support/descriptor_limit.hpp"
#include "support/process.hpp"
#include "support/small_disk.hpp"
#include "sys/mapping.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

namespace faultline::test {
namespace {

using store::SwapFile;
using testing::HasSubstr;

/// Returns the error that `make` throws, if any.
std::optional<std::system_error> error_of(const std::function<void()>& make) {
    try {
        make();
    } catch (const std::system_error& error) {
        return error;
    }
    return std::nullopt;
}

void expect_error(int code, const std::string& named, const std::function<void()>& make) {
    const auto error = error_of(make);
    ASSERT_TRUE(error.has_value());
    EXPECT_EQ(error->code().value(), code) << error->what();
    EXPECT_THAT(error->what(), HasSubstr(named));
}

/// Sets the soft limit and leaves the hard limit alone.
void limit_file_size(rlim_t bytes) {
    rlimit limit{};
    if (::getrlimit(RLIMIT_FSIZE, &limit) != 0) std::_Exit(99);
    limit.rlim_cur = std::min(bytes, limit.rlim_max);
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) std::_Exit(99);
}

/// Runs in a child: prints the exception and exits with its errno, or with 0 if there was none.
[[noreturn]] void exit_with_error_of(const std::function<void()>& make) {
    const auto error = error_of(make);
    limit_file_size(RLIM_INFINITY);  // standard error is a file, too
    if (error) std::fprintf(stderr, "%s\n", error->what());
    std::_Exit(error ? error->code().value() : 0);
}

class SwapFileOn : public OnEachFileSystem {
protected:
    SwapFileOn() : page_{sys::Mapping::reserve(kPage, kPage, true, "a test page")} {}

    /// Fills the page, writes it, and reads it back.
    void expect_round_trip(SwapFile& file, std::uint64_t offset, int value) {
        std::memset(page_.data(), value, kPage);
        ASSERT_EQ(file.write_at(page_.data(), kPage, offset), static_cast<long>(kPage));
        std::memset(page_.data(), 0, kPage);
        ASSERT_EQ(file.read_at(page_.data(), kPage, offset), static_cast<long>(kPage));
        for (std::byte byte : page_.bytes()) ASSERT_EQ(byte, static_cast<std::byte>(value));
    }

    static void write_range(SwapFile& file, std::uint64_t offset, std::uint64_t bytes) {
        const sys::Mapping range = sys::Mapping::reserve(bytes, kPage, true, "a test range");
        std::memset(range.data(), 0x3c, bytes);
        file.prepare_write(offset, bytes);
        ASSERT_EQ(file.write_at(range.data(), bytes, offset), static_cast<long>(bytes));
    }

    sys::Mapping page_;  // aligned, as direct I/O needs it
};

TEST_P(SwapFileOn, UnnamedLeavesNothingInItsDirectory) {
    const SwapFile file = SwapFile::unnamed_in(directory());
    EXPECT_TRUE(directory_.empty());
    EXPECT_EQ(status_of(file.fd()).st_nlink, 0U);
}

TEST_P(SwapFileOn, NamedLeavesNothingInItsDirectoryEither) {
    const SwapFile file = SwapFile::named(directory() / "swap");
    EXPECT_TRUE(directory_.empty());
    EXPECT_EQ(status_of(file.fd()).st_nlink, 0U);
}

TEST_P(SwapFileOn, IsItsOwnersAloneWhateverTheUmask) {
    const mode_t before = ::umask(0);
    const SwapFile unnamed = SwapFile::unnamed_in(directory());
    const SwapFile named = SwapFile::named(directory() / "swap");
    ::umask(before);
    EXPECT_EQ(status_of(unnamed.fd()).st_mode & 07777, 0600U);
    EXPECT_EQ(status_of(named.fd()).st_mode & 07777, 0600U);
}

TEST_P(SwapFileOn, IsNotInheritedByProgramsThatAreStarted) {
    const SwapFile unnamed = SwapFile::unnamed_in(directory());
    const SwapFile named = SwapFile::named(directory() / "swap");
    EXPECT_NE(::fcntl(unnamed.fd(), F_GETFD) & FD_CLOEXEC, 0);
    EXPECT_NE(::fcntl(named.fd(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST_P(SwapFileOn, GivesItsDescriptorBack) {
    const std::size_t before = open_descriptors();
    {
        const SwapFile file = SwapFile::unnamed_in(directory());
        EXPECT_EQ(open_descriptors(), before + 1);
    }
    EXPECT_EQ(open_descriptors(), before);
}

TEST_P(SwapFileOn, ReturnsWhatWasWritten) {
    SwapFile file = SwapFile::unnamed_in(directory());
    file.extend_to(64 * kPage);
    expect_round_trip(file, 0, 1);
    expect_round_trip(file, 63 * kPage, 2);
}

TEST_P(SwapFileOn, KeepsWorkingWhenMoved) {
    SwapFile opened = SwapFile::unnamed_in(directory());
    SwapFile file = std::move(opened);
    file.extend_to(4 * kPage);
    expect_round_trip(file, 0, 3);
}

TEST_P(SwapFileOn, TakesNoSpaceUntilWrittenAndGivesItBack) {
    SwapFile file = SwapFile::unnamed_in(directory());
    EXPECT_EQ(bytes_taken(file.fd()), 0U) << "after the trial block";
    file.extend_to(std::uint64_t{1} << 40);
    EXPECT_EQ(bytes_taken(file.fd()), 0U);
    for (std::uint64_t i = 0; i < 16; ++i) expect_round_trip(file, i << 30, 4);
    EXPECT_GE(bytes_taken(file.fd()), 16 * kPage);
    file.punch_now(0, std::uint64_t{1} << 40);
    EXPECT_LT(bytes_taken(file.fd()), 16 * kPage);
}

TEST_P(SwapFileOn, ReadsZerosWhereSpaceWasGivenBack) {
    SwapFile file = SwapFile::unnamed_in(directory());
    file.extend_to(4 * kPage);
    expect_round_trip(file, kPage, 5);
    file.punch_now(kPage, kPage);
    ASSERT_EQ(file.read_at(page_.data(), kPage, kPage), static_cast<long>(kPage));
    for (std::byte byte : page_.bytes()) ASSERT_EQ(byte, std::byte{0});
}

TEST_P(SwapFileOn, ExtendsOnly) {
    SwapFile file = SwapFile::unnamed_in(directory());
    file.extend_to(100 * kPage);
    file.extend_to(10 * kPage);
    EXPECT_EQ(status_of(file.fd()).st_size, static_cast<off_t>(100 * kPage));
}

TEST_P(SwapFileOn, ReturnsErrorsAsNegatedNumbers) {
    SwapFile file = SwapFile::unnamed_in(directory());
    file.extend_to(kPage);
    EXPECT_EQ(file.read_at(nullptr, kPage, 0), -EFAULT);
    EXPECT_EQ(file.read_at(page_.data(), kPage, kPage), 0) << "past the end";
}

TEST_P(SwapFileOn, NamedRefusesAFileThatExistsAndLeavesItAlone) {
    const std::filesystem::path path = directory() / "precious";
    std::ofstream{path} << "contents";
    expect_error(EEXIST, path.string(), [&] { SwapFile::named(path); });
    EXPECT_EQ(std::filesystem::file_size(path), 8U);
}

TEST_P(SwapFileOn, NamedRefusesALinkWhereverItPoints) {
    const std::filesystem::path path = directory() / "link";
    std::filesystem::create_symlink(directory() / "nowhere", path);
    expect_error(EEXIST, path.string(), [&] { SwapFile::named(path); });
    EXPECT_FALSE(std::filesystem::exists(directory() / "nowhere"));
}

TEST_P(SwapFileOn, SaysWhichDirectoryIsMissing) {
    const std::filesystem::path missing = directory() / "no" / "such";
    expect_error(ENOENT, missing.string(), [&] { SwapFile::unnamed_in(missing); });
    expect_error(ENOENT, missing.string(), [&] { SwapFile::named(missing / "swap"); });
}

TEST_P(SwapFileOn, SaysWhichPathIsNotADirectory) {
    const std::filesystem::path path = directory() / "file";
    std::ofstream{path} << "contents";
    expect_error(ENOTDIR, path.string(), [&] { SwapFile::unnamed_in(path); });
    expect_error(ENOTDIR, path.string(), [&] { SwapFile::named(path / "swap"); });
}

TEST_P(SwapFileOn, SaysWhichDirectoryMayNotBeWrittenTo) {
    std::filesystem::permissions(directory(), std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
    const auto unnamed = [&] {
        become_nobody();
        exit_with_error_of([&] { SwapFile::unnamed_in(directory()); });
    };
    const auto named = [&] {
        become_nobody();
        exit_with_error_of([&] { SwapFile::named(directory() / "swap"); });
    };
    EXPECT_EXIT(unnamed(), testing::ExitedWithCode(EACCES), directory().string() + ".*by Config::swap_directory");
    EXPECT_EXIT(named(), testing::ExitedWithCode(EACCES), directory().string() + ".*set Config::swap_file");
}

TEST_P(SwapFileOn, TellsTheFileSizeLimitInsteadOfDyingOfIt) {
    const auto extend = [&] {
        SwapFile file = SwapFile::unnamed_in(directory());
        limit_file_size(16 * kPage);
        file.extend_to(16 * kPage);
        exit_with_error_of([&] { file.extend_to(17 * kPage); });
    };
    EXPECT_EXIT(extend(), testing::ExitedWithCode(EFBIG), "ulimit -f");
}

TEST_P(SwapFileOn, TellsAFileSizeLimitBelowOneBlockInsteadOfDyingOfIt) {
    for (rlim_t limit : {rlim_t{0}, rlim_t{1000}}) {
        const auto open = [&] {
            limit_file_size(limit);
            exit_with_error_of([&] { SwapFile::unnamed_in(directory()); });
        };
        EXPECT_EXIT(open(), testing::ExitedWithCode(EFBIG), "ulimit -f") << "limit " << limit;
    }
}

TEST_P(SwapFileOn, TellsThatNoFileIsLargeEnough) {
    SwapFile file = SwapFile::unnamed_in(directory());
    expect_error(EFBIG, directory().string(), [&] { file.extend_to(std::uint64_t{1} << 63); });
    file.extend_to(kPage);
    expect_round_trip(file, 0, 6);
}

TEST_P(SwapFileOn, TellsThatDescriptorsRanOut) {
    const auto open = [&] {
        exit_with_error_of([&] {
            const DescriptorLimit none{3};
            SwapFile::unnamed_in(directory());
        });
    };
    EXPECT_EXIT(open(), testing::ExitedWithCode(EMFILE), directory().string() + ".*ulimit -n");
}

// ---- Blocks allocated ahead of small writes

class SmallWrites : public testing::Test {
protected:
    void SetUp() override {
        if (!file_.direct()) GTEST_SKIP() << "this file system has no direct I/O";
        std::memset(page_.data(), 0x3c, page_.size());
        file_.extend_to(4 * kMiB);
    }
    void write_page(std::uint64_t offset) {
        file_.prepare_write(offset, kPage);
        ASSERT_EQ(file_.write_at(page_.data(), kPage, offset), static_cast<long>(kPage));
    }
    void write_some_of(std::uint64_t mib) {
        for (std::uint64_t page = 0; page < 16; ++page) write_page(mib * kMiB + page * 16 * kPage);
    }

    SwapFile file_ = SwapFile::unnamed_in(store::default_swap_directory());
    sys::Mapping page_ = sys::Mapping::reserve(kPage, kPage, true, "a page");
};

TEST_F(SmallWrites, HaveTheRestOfTheirMiBGivenAndNoMore) {
    const std::uint64_t before = bytes_taken(file_.fd());
    for (std::uint64_t page = 0; page < 15; ++page) write_page(kMiB + page * 16 * kPage);
    EXPECT_LT(bytes_taken(file_.fd()) - before, kMiB / 2) << "a few pages are no reason";
    write_page(kMiB + 15 * 16 * kPage);
    EXPECT_GE(bytes_taken(file_.fd()) - before, kMiB);
    EXPECT_LT(bytes_taken(file_.fd()) - before, kMiB + kMiB / 4);
}

TEST_F(SmallWrites, AtTheEndOfTheFileHaveNothingGivenBeyondIt) {
    file_.extend_to(4 * kMiB + 32 * kPage);
    const std::uint64_t before = bytes_taken(file_.fd());
    for (std::uint64_t page = 0; page < 16; ++page) write_page(4 * kMiB + 2 * page * kPage);
    EXPECT_LT(bytes_taken(file_.fd()) - before, kMiB / 4);
}

TEST_F(SmallWrites, HaveNothingGivenTwiceWhereAPartWasDiscarded) {
    write_some_of(0);
    file_.punch_now(kMiB / 2, kMiB / 2);
    const std::uint64_t after_punch = bytes_taken(file_.fd());
    for (std::uint64_t page = 0; page < 32; ++page) write_page(page * kPage);
    EXPECT_LE(bytes_taken(file_.fd()), after_punch + 4 * kPage);
}

TEST_F(SmallWrites, HaveRoomGivenAnewWhereAllWasDiscarded) {
    write_some_of(2);
    const std::uint64_t given = bytes_taken(file_.fd());
    file_.punch(2 * kMiB, kMiB);
    ASSERT_TRUE(file_.punch_some());
    EXPECT_LT(bytes_taken(file_.fd()), given - kMiB / 2);
    write_some_of(2);
    EXPECT_GE(bytes_taken(file_.fd()) + 4 * kPage, given);
}

TEST_F(SmallWrites, LeaveZerosWhereNothingWasWritten) {
    write_some_of(1);
    ASSERT_EQ(file_.read_at(page_.data(), kPage, kMiB + kPage), static_cast<long>(kPage));
    EXPECT_TRUE(std::all_of(page_.bytes().begin(), page_.bytes().end(), [](std::byte b) { return b == std::byte{}; }));
}

TEST_F(SmallWrites, DoNotCountWhenTheyAreLarge) {
    const std::uint64_t before = bytes_taken(file_.fd());
    const sys::Mapping run = sys::Mapping::reserve(kMiB / 4, kPage, true, "a run");
    file_.prepare_write(3 * kMiB, run.size());
    ASSERT_EQ(file_.write_at(run.data(), run.size(), 3 * kMiB), static_cast<long>(run.size()));
    EXPECT_LT(bytes_taken(file_.fd()) - before, kMiB / 2);
}

// ---- Blocks returned later

TEST_P(SwapFileOn, GivesAMiBBackThatIsNotInUseAnyMoreAndNotBefore) {
    SwapFile file = SwapFile::unnamed_in(directory());
    file.extend_to(std::uint64_t{4} << 20);
    write_range(file, 0, 256 * kPage);
    const std::uint64_t full = bytes_taken(file.fd());
    for (std::uint64_t page = 0; page < 256; page += 2) file.punch(page * kPage, kPage);
    EXPECT_FALSE(file.punch_some());
    EXPECT_EQ(bytes_taken(file.fd()), full);
    EXPECT_EQ(file.freed_bytes(), 128 * kPage);
    for (std::uint64_t page = 1; page < 256; page += 2) file.punch(page * kPage, kPage);
    EXPECT_EQ(bytes_taken(file.fd()), full);
    EXPECT_TRUE(file.punch_some());
    EXPECT_LT(bytes_taken(file.fd()), full - 240 * kPage);
    EXPECT_FALSE(file.punch_some());
}

TEST_P(SwapFileOn, KeepsNoMoreThatIsFreedThanItsBound) {
    constexpr std::uint64_t kBytes = 3 * SwapFile::kWasteBytes;
    SwapFile file = SwapFile::unnamed_in(directory());
    file.extend_to(kBytes);
    write_range(file, 0, kBytes);
    for (std::uint64_t at = 0; at < kBytes; at += 16 * kPage) file.punch(at, 8 * kPage);
    ASSERT_TRUE(file.worth_punching());
    std::uint64_t calls = 0;
    while (file.punch_some()) ++calls;
    EXPECT_LE(file.freed_bytes(), SwapFile::kWasteBytes);
    EXPECT_GT(file.freed_bytes(), 0U) << "no more calls than are needed";
    EXPECT_LE(bytes_taken(file.fd()), kBytes / 2 + SwapFile::kWasteBytes + kBytes / 100);
    EXPECT_LT(calls, kBytes / (16 * kPage));
}

TEST(SwapFileOnAFullDisk, GivesBackWhatWasFreedAndTheWriteGoesOn) {
    const TemporaryDirectory directory{"/var/tmp"};
    const SmallDisk disk{directory.path(), 2};
    if (!disk.mounted()) GTEST_SKIP() << "cannot mount a small file system: " << std::strerror(errno);
    SwapFile file = SwapFile::unnamed_in(directory.path());
    file.extend_to(4 * kMiB);
    const sys::Mapping page = sys::Mapping::reserve(kPage, kPage, true, "a test page");
    const auto write = [&](std::uint64_t offset, int value) {
        std::memset(page.data(), value, kPage);
        file.prepare_write(offset, kPage);
        return file.write_at(page.data(), kPage, offset);
    };
    std::uint64_t end = 0;
    while (write(end, 1) == static_cast<long>(kPage)) end += kPage;
    ASSERT_LE(end, 2 * kMiB) << "the disk was not full";
    for (std::uint64_t at = kPage; at < end; at += 2 * kPage) file.punch(at, kPage);
    for (std::uint64_t at = 0; at < kMiB / 2; at += kPage) {
        ASSERT_EQ(write(3 * kMiB + at, 2), static_cast<long>(kPage)) << at;
    }
    for (std::uint64_t at = 0; at < end; at += 2 * kPage) {
        ASSERT_EQ(file.read_at(page.data(), kPage, at), static_cast<long>(kPage));
        ASSERT_EQ(page.bytes().front(), std::byte{1}) << at;
    }
}

INSTANTIATE_TEST_SUITE_P(FileSystems, SwapFileOn, file_systems(), FileSystemName{});

TEST(DefaultSwapDirectory, IsTheTemporaryOneIfNamedElseOnADisk) {
    const char* const named = std::getenv("TMPDIR");
    const std::optional<std::string> before = named == nullptr ? std::nullopt : std::optional<std::string>{named};
    ::setenv("TMPDIR", "/some/where", 1);
    EXPECT_EQ(store::default_swap_directory(), "/some/where");
    ::setenv("TMPDIR", "", 1);
    EXPECT_EQ(store::default_swap_directory(), "/var/tmp");
    ::unsetenv("TMPDIR");
    EXPECT_EQ(store::default_swap_directory(), "/var/tmp");
    if (before) ::setenv("TMPDIR", before->c_str(), 1);
}

}  // namespace
}  // namespace faultline::test
