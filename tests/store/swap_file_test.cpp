// SwapFile: private, removed with its descriptor, and with clear errors. Each test runs on a disk and on a tmpfs.
#include "store/swap_file.hpp"

#include "core/units.hpp"
#include "store/page_contents.hpp"
#include "store/sizes.hpp"
#include "store/swap_directories.hpp"
#include "support/descriptor_limit.hpp"
#include "support/injection.hpp"
#include "support/process.hpp"
#include "sys/mapping.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <tuple>
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

/// Returns pages that are all different.
sys::Mapping patterned(std::size_t pages) {
    sys::Mapping mapping = sys::Mapping::reserve(pages * kPage, kPage, true, "test pages");
    for (std::size_t page = 0; page < pages; ++page)
        incompressible(page).fill(mapping.bytes().subspan(page * kPage, kPage));
    return mapping;
}

iovec part(const sys::Mapping& pages, std::size_t first, std::size_t count) {
    return {pages.data() + first * kPage, count * kPage};
}

class SwapFileOn : public OnEachFileSystem {
protected:
    SwapFileOn() : page_{sys::Mapping::reserve(kPage, kPage, true, "a test page")} {}

    /// Fills the page, writes it, and reads it back.
    void expect_round_trip(SwapFile& file, std::uint64_t offset, int value) {
        std::memset(page_.data(), value, kPage);
        const std::array<iovec, 1> part{iovec{page_.data(), kPage}};
        ASSERT_EQ(file.write(offset, part), 0);
        std::memset(page_.data(), 0, kPage);
        ASSERT_EQ(file.read(offset, page_.bytes()), 0);
        for (std::byte byte : page_.bytes()) ASSERT_EQ(byte, static_cast<std::byte>(value));
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
    file.punch(0, std::uint64_t{1} << 40);
    EXPECT_LT(bytes_taken(file.fd()), 16 * kPage);
}

TEST_P(SwapFileOn, ReadsZerosWhereSpaceWasGivenBack) {
    SwapFile file = SwapFile::unnamed_in(directory());
    file.extend_to(4 * kPage);
    expect_round_trip(file, kPage, 5);
    file.punch(kPage, kPage);
    ASSERT_EQ(file.read(kPage, page_.bytes()), 0);
    for (std::byte byte : page_.bytes()) ASSERT_EQ(byte, std::byte{0});
}

TEST_P(SwapFileOn, ExtendsOnly) {
    SwapFile file = SwapFile::unnamed_in(directory());
    file.extend_to(100 * kPage);
    file.extend_to(10 * kPage);
    EXPECT_EQ(status_of(file.fd()).st_size, static_cast<off_t>(100 * kPage));
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

// ---- Transfers

TEST_P(SwapFileOn, WritesPartsOneAfterTheOther) {
    SwapFile file = SwapFile::unnamed_in(directory());
    file.extend_to(16 * kPage);
    const sys::Mapping parts = patterned(9);
    // In memory in another order than in the file.
    const std::array<iovec, 3> order{part(parts, 6, 3), part(parts, 0, 1), part(parts, 1, 5)};
    ASSERT_EQ(file.write(2 * kPage, order), 0);
    const sys::Mapping read = sys::Mapping::reserve(9 * kPage, kPage, true, "test pages");
    ASSERT_EQ(file.read(2 * kPage, read.bytes()), 0);
    const std::array<std::size_t, 9> expected{6, 7, 8, 0, 1, 2, 3, 4, 5};
    for (std::size_t i = 0; i < expected.size(); ++i) {
        EXPECT_EQ(std::memcmp(&read.bytes()[i * kPage], &parts.bytes()[expected[i] * kPage], kPage), 0) << "page " << i;
    }
}

/// Runs in a child: writes two parts of two pages each where the file size limit allows two pages and a half.
[[noreturn]] void write_across_the_limit(const std::filesystem::path& directory) {
    SwapFile file = SwapFile::unnamed_in(directory);
    file.extend_to(4 * kPage);
    const sys::Mapping from = patterned(4);
    const std::array<iovec, 2> parts{part(from, 0, 2), part(from, 2, 2)};
    const std::uint64_t allowed = file.direct() ? 2 * kPage : 2 * kPage + kPage / 2;
    limit_file_size(allowed);
    if (file.write(0, parts) != EFBIG) std::_Exit(1);
    limit_file_size(RLIM_INFINITY);
    const sys::Mapping read = sys::Mapping::reserve(4 * kPage, kPage, true, "test pages");
    if (file.read(0, read.bytes()) != 0) std::_Exit(2);
    std::memset(from.data() + allowed, 0, 4 * kPage - allowed);
    std::_Exit(std::memcmp(read.data(), from.data(), read.size()) == 0 ? 0 : 3);
}

TEST_P(SwapFileOn, AShortWriteGoesOnWhereItStoppedAndTellsTheErrorThere) {
    EXPECT_EXIT(write_across_the_limit(directory()), testing::ExitedWithCode(0), "");
}

TEST_P(SwapFileOn, TellsMemoryThatCannotBeRead) {
    SwapFile file = SwapFile::unnamed_in(directory());
    file.extend_to(4 * kPage);
    const sys::Mapping from = patterned(2);
    const std::array<iovec, 2> parts{part(from, 0, 2), iovec{nullptr, kPage}};
    EXPECT_EQ(file.write(0, parts), EFAULT);
    EXPECT_EQ(file.read(0, {static_cast<std::byte*>(nullptr), kPage}), EFAULT);
}

TEST_P(SwapFileOn, NeverReadsShort) {
    SwapFile file = SwapFile::unnamed_in(directory());
    file.extend_to(kPage);
    EXPECT_EQ(file.read(kPage, page_.bytes()), EIO) << "past the end";
    const sys::Mapping two = sys::Mapping::reserve(2 * kPage, kPage, true, "test pages");
    EXPECT_EQ(file.read(0, two.bytes()), EIO) << "across the end";
}

class InterruptedTransfers : public testing::TestWithParam<std::tuple<long, int>> {};

TEST_P(InterruptedTransfers, AreFinished) {
    const auto [call, error] = GetParam();
    const auto result = in_child_with({call, {}, error, 1, 3}, []() -> std::function<int()> {
        const auto file = std::make_shared<SwapFile>(SwapFile::unnamed_in(store::default_swap_directory()));
        file->extend_to(16 * kPage);
        return [file]() -> int {
            const sys::Mapping from = patterned(16);
            const sys::Mapping read = sys::Mapping::reserve(16 * kPage, kPage, true, "test pages");
            for (std::size_t page = 0; page < 16; page += 2) {
                const std::array<iovec, 2> two{part(from, page, 1), part(from, page + 1, 1)};
                if (file->write(page * kPage, two) != 0) return 1;
                for (std::size_t i = page; i < page + 2; ++i) {
                    if (file->read(i * kPage, read.bytes().subspan(i * kPage, kPage)) != 0) return 2;
                }
            }
            return std::memcmp(read.data(), from.data(), read.size()) == 0 ? 0 : 3;
        };
    });
    if (!result) GTEST_SKIP() << "the kernel has no seccomp notifications";
    EXPECT_TRUE(result->end.exited_with(0)) << result->end;
    EXPECT_GT(result->failed, 2U);
}

INSTANTIATE_TEST_SUITE_P(Each, InterruptedTransfers,
                         testing::Combine(testing::Values(SYS_pread64, SYS_pwritev),
                                          testing::Values(EINTR, EAGAIN, EIO)),
                         [](const auto& instance) {
                             const long call = std::get<0>(instance.param);
                             const int error = std::get<1>(instance.param);
                             return std::string{call == SYS_pread64 ? "reads_" : "writes_"} +
                                    (error == EINTR    ? "interrupted"
                                     : error == EAGAIN ? "refused_for_a_moment"
                                                       : "failed_by_the_device");
                         });

// ---- Blocks

TEST_P(SwapFileOn, AllocatesBlocksWithoutChangingWhatIsRead) {
    SwapFile file = SwapFile::unnamed_in(directory());
    file.extend_to(4 * kMiB);
    expect_round_trip(file, kMiB, 9);
    file.allocate(kMiB, kMiB);
    const std::uint64_t taken = bytes_taken(file.fd());
    EXPECT_GE(taken, kMiB);
    EXPECT_LT(taken, kMiB + kMiB / 4);
    EXPECT_EQ(status_of(file.fd()).st_size, static_cast<off_t>(4 * kMiB));
    ASSERT_EQ(file.read(kMiB, page_.bytes()), 0);
    EXPECT_EQ(page_.bytes()[100], std::byte{9});
    ASSERT_EQ(file.read(kMiB + kPage, page_.bytes()), 0);
    EXPECT_EQ(page_.bytes()[100], std::byte{0});
}

TEST_P(SwapFileOn, KnowsTheFreeSpaceOfItsFileSystem) {
    const SwapFile file = SwapFile::unnamed_in(directory());
    EXPECT_GT(file.free_space(), 0U);
    EXPECT_LT(file.free_space(), ~std::uint64_t{0});
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
