// SourceFile: a file that pages come from, held open while a segment maps it. It reads like mmap(2): the last page is
// zeros after the end of the file, and pages beyond it are errors. Immutable and thread-safe; its reads and writes are
// signal-safe. Used by SegmentStore and SharedFile.
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
    /// Opens `path` for reading. Throws std::system_error that names the path.
    [[nodiscard]] static std::shared_ptr<const SourceFile> open(const std::filesystem::path& path);

    /// Duplicates an open descriptor. Throws std::system_error: EBADF, EACCES (not readable), ENODEV (not a regular
    /// file).
    [[nodiscard]] static std::shared_ptr<const SourceFile> of(int descriptor);

    SourceFile(sys::FileDescriptor fd, std::string path);

    /// Fills whole pages: with the file's bytes from `offset` on (a multiple of 4 KiB), with zeros from `limit` on.
    /// Returns 0 or an errno; EIO if a page below `limit` lies wholly beyond the end of the file. Signal-safe.
    [[nodiscard]] int read(std::uint64_t offset, std::uint64_t limit,
                           std::span<std::byte> into) const FAULTLINE_SIGNAL_SAFE;

    /// Writes whole pages at `offset`, up to the end of the file; drops what lies beyond it. Returns 0 or an errno.
    /// Signal-safe.
    [[nodiscard]] int write(std::uint64_t offset, std::span<const std::byte> from) const FAULTLINE_SIGNAL_SAFE;

    /// Writes zeros to a range, up to the end of the file. Returns 0 or an errno. Signal-safe.
    [[nodiscard]] int write_zeros(std::uint64_t offset, std::uint64_t bytes) const FAULTLINE_SIGNAL_SAFE;

    /// Waits until all writes are on the disk (fdatasync). Returns 0 or an errno.
    [[nodiscard]] int synchronize() const noexcept;

    /// Returns whether shared pages can be written back to the file.
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
