// Files read and written with every result looked at: short transfers, EINTR, full disks, and errors that only close(2)
// tells of. A failure is a std::system_error that names the file.
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

    /// Its size when it was opened, in bytes.
    [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
    [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

    /// Reads up to `buffer.size()` bytes, at least one; 0 at the end of the file. The buffer must be unmanaged memory
    /// or pinned: a system call does not wait for a page.
    [[nodiscard]] std::size_t read(std::span<std::byte> buffer);

    /// The next read begins at the first byte again.
    void rewind();

private:
    std::filesystem::path path_;
    FileDescriptor file_;
    std::uint64_t size_ = 0;
};

/// A file that appears whole or not at all: it is written beside `path` and takes its place in `commit`. What is not a
/// regular file (a pipe, a device) is written directly. Used by one thread.
class OutputFile {
public:
    explicit OutputFile(std::filesystem::path path);
    ~OutputFile();
    OutputFile(const OutputFile&) = delete;
    OutputFile& operator=(const OutputFile&) = delete;

    /// Writes all of it. The bytes must be in unmanaged memory or pinned.
    void write(std::span<const std::byte> bytes);
    void write(std::string_view text) { write(std::as_bytes(std::span{text})); }

    /// Makes the file durable and puts it in its place. Nothing is left behind when it was not called.
    void commit();

private:
    void open_directly();
    void open_beside(unsigned permissions);

    std::filesystem::path path_;
    std::filesystem::path temporary_;  // empty when `path_` is written directly, or committed
    FileDescriptor file_;
};

}  // namespace faultline::demo
