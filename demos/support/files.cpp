#include "support/files.hpp"

#include "display/format.hpp"
#include "support/random.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <span>
#include <string>
#include <system_error>
#include <utility>

namespace faultline::demo {
namespace {

[[noreturn]] void fail(int error, const std::string& what, const std::filesystem::path& path) {
    throw std::system_error(error, std::generic_category(), what + " '" + path.string() + "'");
}

int open_retrying(const std::filesystem::path& path, int flags, unsigned permissions = 0) {
    for (;;) {
        const int number = ::open(path.c_str(), flags | O_CLOEXEC, permissions);
        if (number >= 0 || errno != EINTR) return number;
    }
}

/// Errors that mean "this file system has no fsync", as opposed to "your data is lost".
bool cannot_sync(int error) { return error == EINVAL || error == ENOSYS || error == EOPNOTSUPP; }

/// File permissions of a new file before the umask.
constexpr unsigned kNewFile = 0666;

}  // namespace

FileDescriptor::~FileDescriptor() {
    // No error to report here: writers check before they close.
    if (number_ >= 0) static_cast<void>(::close(number_));
}

InputFile::InputFile(std::filesystem::path path) : path_{std::move(path)} {
    // NONBLOCK: opening a FIFO would wait for a writer before it could be refused. It has no effect on regular files.
    file_ = FileDescriptor{open_retrying(path_, O_RDONLY | O_NONBLOCK)};
    if (file_.get() < 0) fail(errno, "cannot open", path_);
    struct stat status {};
    if (::fstat(file_.get(), &status) != 0) fail(errno, "cannot read the attributes of", path_);
    if (S_ISDIR(status.st_mode)) fail(EISDIR, "cannot read", path_);
    if (!S_ISREG(status.st_mode)) fail(EINVAL, "not a regular file:", path_);
    size_ = static_cast<std::uint64_t>(status.st_size);
}

std::size_t InputFile::read(std::span<std::byte> buffer) {
    for (;;) {
        const ssize_t got = ::read(file_.get(), buffer.data(), buffer.size());
        if (got >= 0) return static_cast<std::size_t>(got);
        if (errno != EINTR) fail(errno, "cannot read", path_);
    }
}

void InputFile::rewind() {
    if (::lseek(file_.get(), 0, SEEK_SET) != 0) fail(errno, "cannot rewind", path_);
}

OutputFile::OutputFile(std::filesystem::path path) : path_{std::move(path)} {
    struct stat status {};
    if (::stat(path_.c_str(), &status) != 0) {
        if (errno != ENOENT) fail(errno, "cannot read the attributes of", path_);
        open_beside(kNewFile);
        return;
    }
    if (!S_ISREG(status.st_mode)) {
        open_directly();
        return;
    }
    // A rename would succeed on a file that this process may not write, so check first.
    if (::access(path_.c_str(), W_OK) != 0) fail(errno, "cannot write", path_);
    // Resolve symbolic links, so that the file is replaced and not the link.
    path_ = std::filesystem::canonical(path_);
    open_beside(kNewFile);
    if (::fchmod(file_.get(), status.st_mode & 07777) != 0) {
        const int error = errno;
        static_cast<void>(::unlink(temporary_.c_str()));  // no destructor runs after a throw from here
        fail(error, "cannot set the permissions of the replacement for", path_);
    }
}

OutputFile::~OutputFile() {
    if (!temporary_.empty()) static_cast<void>(::unlink(temporary_.c_str()));
}

void OutputFile::open_directly() {
    file_ = FileDescriptor{open_retrying(path_, O_WRONLY)};
    if (file_.get() < 0) fail(errno, "cannot write", path_);
}

void OutputFile::open_beside(unsigned permissions) {
    const std::filesystem::path directory = path_.has_parent_path() ? path_.parent_path() : ".";
    const auto now = std::chrono::steady_clock::now().time_since_epoch().count();
    Random random{static_cast<std::uint64_t>(now) ^ mix64(static_cast<std::uint64_t>(::getpid()))};
    int number = -1;
    do {
        temporary_ =
            directory / display::printed(".faultline-%016llx.tmp", static_cast<unsigned long long>(random.next()));
        number = open_retrying(temporary_, O_WRONLY | O_CREAT | O_EXCL, permissions);
    } while (number < 0 && errno == EEXIST);
    if (number < 0) {
        const int error = errno;
        temporary_.clear();
        fail(error, "cannot create a file in the directory of", path_);
    }
    file_ = FileDescriptor{number};
}

void OutputFile::write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const ssize_t written = ::write(file_.get(), bytes.data(), bytes.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) fail(errno, "cannot write", path_);
        // Without this, a file that accepts nothing and reports no error would make the loop endless.
        if (written == 0) fail(EIO, "cannot write", path_);
        bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
}

void OutputFile::commit() {
    if (!temporary_.empty() && ::fsync(file_.get()) != 0 && !cannot_sync(errno)) fail(errno, "cannot write", path_);
    // Not repeated after EINTR: Linux has closed the descriptor by then.
    if (::close(file_.release()) != 0 && errno != EINTR) fail(errno, "cannot write", path_);
    if (temporary_.empty()) return;
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail(errno, "cannot replace", path_);
    temporary_.clear();
}

}  // namespace faultline::demo
