// Owns one file descriptor, and has it on the list of those that are the library's (sys/own_descriptors.hpp).
#pragma once

#include "sys/own_descriptors.hpp"

#include <unistd.h>

#include <cerrno>
#include <utility>

namespace faultline::sys {

class FileDescriptor {
public:
    FileDescriptor() noexcept = default;
    /// Takes a descriptor that has just been opened; `get` may be another number. Takes -1, too, and leaves errno
    /// alone. It is empty, with errno, where only 0, 1 and 2 are left.
    explicit FileDescriptor(int fd) noexcept : fd_{enter_own_descriptor(fd)} {}
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

    /// Returns 0, or the errno of what was written before and could not be kept. It is closed all the same: a second
    /// close() could close another file.
    [[nodiscard]] int close() noexcept {
        if (fd_ < 0) return 0;
        remove_own_descriptor(fd_);
        return ::close(std::exchange(fd_, -1)) == 0 ? 0 : errno;
    }

private:
    int fd_ = -1;
};

}  // namespace faultline::sys
