// Files with every result checked: short transfers, EINTR, full disks, and errors that only close(2) reports. Each
// failure is a std::system_error that names the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <utility>

namespace faultline::demo {

/// Owns a file descriptor.
class FileDescriptor {
public:
    FileDescriptor() noexcept = default;
    explicit FileDescriptor(int number) noexcept : number_{number} {}
    FileDescriptor(FileDescriptor&& other) noexcept : number_{std::exchange(other.number_, -1)} {}
    FileDescriptor& operator=(FileDescriptor&& other) noexcept {
        std::swap(number_, other.number_);
        return *this;
    }
    ~FileDescriptor();

    [[nodiscard]] int get() const noexcept { return number_; }
    [[nodiscard]] int release() noexcept { return std::exchange(number_, -1); }

private:
    int number_ = -1;
};

/// A regular file, read from its beginning to its end. Used by one thread.
class InputFile {
public:
    explicit InputFile(std::filesystem::path path);

    /// Returns the file's size in bytes when it was opened.
    [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
    [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

    /// Reads up to `buffer.size()` bytes, at least one; returns 0 at the end of the file. The buffer must be unmanaged
    /// memory or pinned: the system call fails with EFAULT on an absent page.
    [[nodiscard]] std::size_t read(std::span<std::byte> buffer);

    /// Moves back to the first byte.
    void rewind();

private:
    std::filesystem::path path_;
    FileDescriptor file_;
    std::uint64_t size_ = 0;
};

/// A file that appears complete or not at all: it is written beside `path`, and `commit` renames it. A path that is no
/// regular file (a pipe, a device) is written directly. Used by one thread.
class OutputFile {
public:
    explicit OutputFile(std::filesystem::path path);
    ~OutputFile();
    OutputFile(const OutputFile&) = delete;
    OutputFile& operator=(const OutputFile&) = delete;

    /// Writes all bytes. They must be in unmanaged memory or pinned.
    void write(std::span<const std::byte> bytes);
    void write(std::string_view text) { write(std::as_bytes(std::span{text})); }

    /// Makes the file durable and renames it to `path`. Without it, the destructor removes the file.
    void commit();

private:
    void open_directly();
    void open_beside(unsigned permissions);

    std::filesystem::path path_;
    std::filesystem::path temporary_;  // empty if `path_` is written directly, or after `commit`
    FileDescriptor file_;
};

}  // namespace faultline::demo
