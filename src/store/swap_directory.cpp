#include "store/swap_directory.hpp"

#include "sys/error.hpp"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <system_error>
#include <utility>

namespace faultline::store {
namespace {

[[noreturn]] void refuse(int error, const std::filesystem::path& directory) {
    constexpr const char* kRemedy = "; name a directory on a disk by Config::swap_directory";
    std::string what = "cannot make a swap file in " + directory.string();
    if (error == ENOENT || error == ENOTDIR) {
        std::error_code ignored;
        what += std::filesystem::is_directory(directory, ignored) ? ": the file system allows no new file there"
                                                                  : ": the directory does not exist";
        what += kRemedy;
    }
    if (error == EACCES || error == EPERM || error == EROFS) {
        what += std::string{": this user cannot write there"} + kRemedy;
    }
    if (error == EMFILE || error == ENFILE) what += ": raise `ulimit -n`";
    sys::throw_error(error, what);
}

}  // namespace

std::filesystem::path default_swap_directory() {
    const char* directory = std::getenv("TMPDIR");  // NOLINT(concurrency-mt-unsafe): never set here
    return directory != nullptr && *directory != '\0' ? directory : "/var/tmp";
}

SwapDirectory::SwapDirectory(const std::filesystem::path& path)
    : path_{std::filesystem::absolute(path)}, fd_{::open(path_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)} {}

sys::FileDescriptor SwapDirectory::open_unnamed() const {
    constexpr int kFlags = O_TMPFILE | O_RDWR | O_CLOEXEC;
    // If the directory was removed, a new one may have its name: it is as good.
    sys::FileDescriptor file{is_there() ? ::openat(fd_.get(), ".", kFlags, kOwnerOnly)
                                        : ::open(path_.c_str(), kFlags, kOwnerOnly)};
    // Some seccomp filters (ENOSYS, EPERM) forbid only unnamed files.
    const bool may_be_named = errno == EOPNOTSUPP || errno == EISDIR || errno == ENOSYS || errno == EPERM;
    if (!file && may_be_named) file = open_and_unlink();
    if (!file) refuse(errno, path_);
    return file;
}

bool SwapDirectory::is_there() const {
    struct stat found {};
    return fd_ && ::fstat(fd_.get(), &found) == 0 && found.st_nlink > 0;
}

/// Creates a file with a unique name and unlinks it at once, for file systems without unnamed files.
sys::FileDescriptor SwapDirectory::open_and_unlink() const {
    constexpr int kMostTries = 100;
    std::array<char, 32> name{};
    for (int tries = 0; tries < kMostTries; ++tries) {
        std::uint64_t number = 0;
        if (::getrandom(&number, sizeof number, 0) != sizeof number) continue;
        std::snprintf(name.data(), name.size(), "faultline-%016llx", static_cast<unsigned long long>(number));
        sys::FileDescriptor file{::openat(fd_.get(), name.data(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, kOwnerOnly)};
        if (!file && errno == EEXIST) continue;
        if (file) ::unlinkat(fd_.get(), name.data(), 0);
        return file;
    }
    errno = EEXIST;
    return {};
}

}  // namespace faultline::store
