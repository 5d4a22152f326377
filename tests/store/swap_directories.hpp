// Directories for swap files: one on a disk and one on a tmpfs, each removed with its test.
#pragma once

#include <gtest/gtest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

namespace faultline::test {

/// A fresh directory below `parent`, removed with everything in it.
class TemporaryDirectory {
public:
    explicit TemporaryDirectory(const std::filesystem::path& parent) {
        std::string name = (parent / "faultline-test-XXXXXX").string();
        if (::mkdtemp(name.data()) != nullptr) path_ = name;
    }
    ~TemporaryDirectory() {
        if (path_.empty()) return;
        std::error_code ignored;
        std::filesystem::permissions(path_, std::filesystem::perms::owner_all, ignored);
        std::filesystem::remove_all(path_, ignored);
    }
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

    [[nodiscard]] const std::filesystem::path& path() const { return path_; }
    [[nodiscard]] bool empty() const { return std::filesystem::is_empty(path_); }

private:
    std::filesystem::path path_;
};

/// Runs a test in a directory on each kind of file system.
class OnEachFileSystem : public testing::TestWithParam<const char*> {
protected:
    void SetUp() override {
        if (directory_.path().empty()) GTEST_SKIP() << "no directory can be made in " << GetParam();
    }
    [[nodiscard]] const std::filesystem::path& directory() const { return directory_.path(); }

    TemporaryDirectory directory_{GetParam()};
};

struct FileSystemName {
    template <typename Instance>
    std::string operator()(const Instance& instance) const {
        return std::string{instance.param} == "/dev/shm" ? "tmpfs" : "disk";
    }
};

inline auto file_systems() { return testing::Values("/var/tmp", "/dev/shm"); }

inline struct stat status_of(int fd) {
    struct stat status {};
    EXPECT_EQ(::fstat(fd, &status), 0);
    return status;
}

/// A file system may need a few blocks of its own for a file.
inline constexpr std::uint64_t kFileSystemsOwn = 64 << 10;

/// Returns the bytes that the file uses on its device.
inline std::uint64_t bytes_taken(int fd) { return static_cast<std::uint64_t>(status_of(fd).st_blocks) * 512; }

/// Drops root, which is never refused permission. Call in a child that exits afterwards.
inline void become_nobody() {
    constexpr uid_t kNobody = 65534;
    if (::geteuid() == 0 && ::setresuid(kNobody, kNobody, kNobody) != 0) std::_Exit(99);
}

}  // namespace faultline::test
