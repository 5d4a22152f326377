// TraceReader: reads a trace file record by record, and checks everything in it. An error names the file and, if there
// is one, the byte where it shows. policy_replay and the tests use it.
#pragma once

#include "replay/reference.hpp"
#include "trace/trace_checksum.hpp"
#include "trace/trace_format.hpp"

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace bench {

using faultline::trace::TraceChecksum;
using faultline::trace::TraceHeader;

/// Thrown if the file is not a trace, or was damaged.
class BadTrace : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

class TraceReader {
public:
    /// Opens the file and checks its header. Throws std::system_error, BadTrace.
    explicit TraceReader(const std::filesystem::path& path);

    [[nodiscard]] std::uint32_t page_bytes() const noexcept { return page_bytes_; }
    [[nodiscard]] std::uint64_t records() const noexcept { return records_; }
    /// Returns the number of references that the recorder lost.
    [[nodiscard]] std::uint64_t lost() const noexcept { return lost_; }

    /// Returns the next reference; nothing after the last. The checksum is compared at the end only: do not trust the
    /// references of a file that was not read to its end. Throws std::system_error, BadTrace.
    [[nodiscard]] std::optional<PageReference> next();

private:
    struct Close {
        void operator()(std::FILE* file) const noexcept { std::fclose(file); }
    };

    [[noreturn]] void refuse(const std::string& why) const;
    [[nodiscard]] std::string place() const;
    std::size_t read(unsigned char* to, std::size_t bytes);
    void read_header();
    [[nodiscard]] std::optional<unsigned char> next_byte();
    [[nodiscard]] std::uint64_t next_varint();
    void check_end();

    std::filesystem::path path_;
    std::unique_ptr<std::FILE, Close> file_;
    TraceHeader header_{};
    std::vector<unsigned char> buffer_;
    std::size_t buffered_ = 0;  // valid bytes in buffer_
    std::size_t position_ = 0;  // of the next byte
    std::uint64_t buffer_offset_ = faultline::trace::kTraceHeaderBytes;
    TraceChecksum checksum_;
    std::uint32_t page_bytes_ = 0;
    std::uint64_t records_ = 0;
    std::uint64_t lost_ = 0;
    std::uint64_t records_read_ = 0;
    std::uint64_t page_ = 0;
};

/// Reads a whole trace file.
[[nodiscard]] Trace read_trace(const std::filesystem::path& path);

}  // namespace bench
