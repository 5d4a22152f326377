// SwapFolder: a folder of a test's own for swap files. Reports how much disk space the file in it takes.
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

namespace faultline::test {

class SwapFolder {
public:
    SwapFolder() {
        const char* const base = std::getenv("TMPDIR");
        std::string name = std::string(base != nullptr && *base != '\0' ? base : "/var/tmp") + "/faultline-test-XXXXXX";
        if (::mkdtemp(name.data()) == nullptr) throw std::system_error{errno, std::system_category(), name};
        path_ = name;
    }
    ~SwapFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    SwapFolder(const SwapFolder&) = delete;
    SwapFolder& operator=(const SwapFolder&) = delete;

    [[nodiscard]] const std::filesystem::path& path() const { return path_; }

    [[nodiscard]] bool empty() const { return std::filesystem::is_empty(path_); }

    /// Returns the disk space in bytes of the files in the folder that this process has open. They have no name any
    /// more.
    [[nodiscard]] std::size_t bytes_on_disk() const {
        std::size_t bytes = 0;
        for (const auto& entry : std::filesystem::directory_iterator{"/proc/self/fd"}) {
            std::error_code gone;
            const std::string target = std::filesystem::read_symlink(entry.path(), gone).string();
            if (gone || target.rfind(path_.string() + "/", 0) != 0) continue;
            const int fd = std::stoi(entry.path().filename().string());
            struct stat status {};
            // Delayed allocations become real, or are dropped, when the file is synchronised.
            if (::fsync(fd) == 0 && ::fstat(fd, &status) == 0)
                bytes += static_cast<std::size_t>(status.st_blocks) * 512;
        }
        return bytes;
    }

private:
    std::filesystem::path path_;
};

}  // namespace faultline::test
