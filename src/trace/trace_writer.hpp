// TraceWriter: makes a trace file from page numbers, as they come. For one ordinary thread: it allocates, does blocking
// I/O and throws, so a fault handler must hand its references over to a thread that feeds this. A file whose writer was
// not finished says so to readers.
#pragma once

#include "sys/file_descriptor.hpp"
#include "trace/trace_format.hpp"

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

namespace faultline::trace {

class TraceWriter {
public:
    /// Creates or replaces the file. `page_bytes` is a power of two. Throws std::system_error, std::invalid_argument.
    TraceWriter(const std::filesystem::path& path, std::uint32_t page_bytes);

    /// Adds one reference; `page` is below 2^62. Throws std::system_error (a full disk, say, or EFBIG beyond
    /// RLIMIT_FSIZE, without SIGXFSZ), std::out_of_range.
    void append(std::uint64_t page, bool write);

    /// Writes what is buffered and makes the file whole. `lost`: references that could not be kept, for whoever reads
    /// it. Nothing may be appended afterwards. Throws std::system_error.
    void finish(std::uint64_t lost = 0);

    [[nodiscard]] std::uint64_t records() const noexcept { return records_; }

private:
    [[noreturn]] void fail(const char* what) const;
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
    std::uint64_t offset_ = 0;  // in the file, of what is written next
};

}  // namespace faultline::trace
