// FileDescriptor: owns one file descriptor and keeps it in the list of the library's descriptors
// (sys/own_descriptors.hpp), so that the preload can protect it from the program. It is for descriptors of the library
// only, never for the program's.
#pragma once

#include "sys/own_descriptors.hpp"

#include <unistd.h>

#include <cerrno>
#include <utility>

namespace faultline::sys {

class FileDescriptor {
public:
    FileDescriptor() noexcept = default;
    /// Takes a descriptor that was just opened; `get` may return another number. Accepts -1 and does not change errno.
    /// Becomes empty, and sets errno, if only the numbers 0, 1 and 2 are free.
    explicit FileDescriptor(int fd) noexcept : fd_{add_own_descriptor(fd)} {}
    FileDescriptor(FileDescriptor&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}
    FileDescriptor& operator=(FileDescriptor&& other) noexcept {
        if (this != &other) {
            reset();
            fd_ = std::exchange(other.fd_, -1);
        }
        return *this;
    }
    FileDescriptor(const FileDescriptor&) = delete;
    FileDescriptor& operator=(const FileDescriptor&) = delete;
    ~FileDescriptor() { reset(); }

    [[nodiscard]] int get() const noexcept { return fd_; }
    explicit operator bool() const noexcept { return fd_ >= 0; }

    void reset() noexcept { static_cast<void>(close()); }

    /// Closes the descriptor. Returns 0, or the errno of an earlier write that failed. The descriptor is closed in both
    /// cases: a second close() could close another file.
    [[nodiscard]] int close() noexcept {
        if (fd_ < 0) return 0;
        remove_own_descriptor(fd_);
        return ::close(std::exchange(fd_, -1)) == 0 ? 0 : errno;
    }

private:
    int fd_ = -1;
};

}  // namespace faultline::sys
