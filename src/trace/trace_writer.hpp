// TraceWriter: writes page numbers to a trace file, in the order of its calls.
// For one ordinary thread: it allocates, blocks on I/O and throws, so a fault handler must pass its references to a
// thread that calls this. A file that was not finished is marked so for readers.
#pragma once

#include "sys/file_descriptor.hpp"
#include "trace/trace_checksum.hpp"
#include "trace/trace_format.hpp"

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

namespace faultline::trace {

class TraceWriter {
public:
    /// Creates or replaces the file. `page_bytes`: a power of two. Throws std::system_error, std::invalid_argument.
    TraceWriter(const std::filesystem::path& path, std::uint32_t page_bytes);

    /// Adds one reference; `page` is below 2^62. Throws std::out_of_range, or std::system_error (a full disk; EFBIG
    /// beyond RLIMIT_FSIZE, without SIGXFSZ).
    void append(std::uint64_t page, bool write);

    /// Writes the buffered records and completes the file. `lost`: number of references that could not be recorded,
    /// stored for readers. Nothing may be appended afterwards. Throws std::system_error.
    void finish(std::uint64_t lost = 0);

    [[nodiscard]] std::uint64_t records() const noexcept { return records_; }

private:
    [[noreturn]] void fail(const char* what, int error) const;
    [[nodiscard]] TraceHeader header(std::uint64_t records, std::uint64_t lost) const;
    void write(std::span<const unsigned char> bytes);
    void write_out();

    std::filesystem::path path_;
    sys::FileDescriptor file_;
    std::vector<unsigned char> buffer_;
    TraceChecksum checksum_;
    std::uint32_t page_bytes_;
    std::uint64_t previous_page_ = 0;
    std::uint64_t records_ = 0;
    std::uint64_t offset_ = 0;  // file offset of the next write
};

}  // namespace faultline::trace
