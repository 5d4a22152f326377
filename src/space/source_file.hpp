// SourceFile: a file that pages come from, kept open for as long as something maps it. It reads as mmap(2) shows: zeros
// after the end of the file in its last page, and no page beyond.
#pragma once

#include "core/signal_safe.hpp"
#include "sys/file_descriptor.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

namespace faultline::space {

class SourceFile {
public:
    /// Opens `path` for reading. Throws std::system_error naming it.
    [[nodiscard]] static std::shared_ptr<const SourceFile> open(const std::filesystem::path& path);

    /// Another descriptor of an open file. Throws std::system_error: EBADF, EACCES (not readable), ENODEV (no regular
    /// file).
    [[nodiscard]] static std::shared_ptr<const SourceFile> of(int descriptor);

    SourceFile(sys::FileDescriptor fd, std::string path);

    /// Fills whole pages: with the file's bytes from `offset` on, a multiple of 4 KiB, but zeros from `limit` on.
    /// Returns 0 or an errno: EIO for a page below `limit` that is wholly beyond the end of the file. Signal-safe.
    [[nodiscard]] int read(std::uint64_t offset, std::uint64_t limit,
                           std::span<std::byte> into) const FAULTLINE_SIGNAL_SAFE;

    /// Writes whole pages at `offset`, as far as the file reaches: what is beyond its end is nobody's. Returns 0 or an
    /// errno. Signal-safe.
    [[nodiscard]] int write(std::uint64_t offset, std::span<const std::byte> from) const FAULTLINE_SIGNAL_SAFE;

    /// Makes a range zeros, as far as the file reaches. Returns 0 or an errno. Signal-safe.
    [[nodiscard]] int write_zeros(std::uint64_t offset, std::uint64_t bytes) const FAULTLINE_SIGNAL_SAFE;

    /// Returns when what was written is on the disk: 0 or an errno.
    [[nodiscard]] int synchronize() const noexcept;

    /// Whether what is mapped of it may be written back.
    [[nodiscard]] bool writable() const noexcept { return writable_; }

    [[nodiscard]] int fd() const noexcept { return fd_.get(); }
    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    [[nodiscard]] std::uint64_t device() const noexcept { return device_; }
    [[nodiscard]] std::uint64_t inode() const noexcept { return inode_; }

private:
    sys::FileDescriptor fd_;
    std::string path_;
    std::uint64_t device_ = 0;
    std::uint64_t inode_ = 0;
    bool writable_ = false;
};

}  // namespace faultline::space
