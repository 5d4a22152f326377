#include "trace/trace_writer.hpp"

#include "sys/file_write.hpp"
#include "sys/full_transfer.hpp"

#include <fcntl.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <stdexcept>
#include <string>
#include <system_error>

namespace faultline::trace {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{64} << 10;

}  // namespace

TraceWriter::TraceWriter(const std::filesystem::path& path, std::uint32_t page_bytes)
    : path_{path}, page_bytes_{page_bytes} {
    if (!std::has_single_bit(page_bytes)) {
        throw std::invalid_argument{"a trace's page size must be a power of two, not " + std::to_string(page_bytes)};
    }
    constexpr mode_t kReadWriteForAll = 0666;  // the process's umask removes some of these
    file_ = sys::FileDescriptor{::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, kReadWriteForAll)};
    if (!file_) fail("create", errno);
    buffer_.reserve(kBufferBytes);
    write(header(kUnfinishedTrace, 0));
}

void TraceWriter::append(std::uint64_t page, bool write) {
    if (page >= kMostPages) {
        throw std::out_of_range{"page number " + std::to_string(page) + " does not fit a trace: it must be below 2^62"};
    }
    if (buffer_.size() + kLongestRecord > kBufferBytes) write_out();
    const auto difference = static_cast<std::int64_t>(page - previous_page_);
    unsigned char record[kLongestRecord];
    const std::size_t length = encode_varint(zigzag(difference) << 1 | (write ? 1U : 0U), record);
    buffer_.insert(buffer_.end(), record, record + length);
    previous_page_ = page;
    ++records_;
}

void TraceWriter::finish(std::uint64_t lost) {
    write_out();
    offset_ = 0;
    TraceHeader whole = header(records_, lost);
    checksum_.add(std::span{whole}.first(kChecksummedHeaderBytes));
    store_little_endian(&whole[kChecksummedHeaderBytes], checksum_.value(), 8);
    write(whole);
    if (const int error = file_.close()) fail("write", error);
}

/// Fills in everything but the checksum.
TraceHeader TraceWriter::header(std::uint64_t records, std::uint64_t lost) const {
    TraceHeader made{};
    std::copy(kTraceMagic.begin(), kTraceMagic.end(), made.begin());
    store_little_endian(&made[8], kTraceVersion, 4);
    store_little_endian(&made[12], page_bytes_, 4);
    store_little_endian(&made[16], records, 8);
    store_little_endian(&made[24], lost, 8);
    return made;
}

void TraceWriter::write(std::span<const unsigned char> bytes) {
    const int error = sys::transfer_all("pwrite of a trace", bytes.size(), [&](std::size_t done, std::size_t left) {
        return sys::write_file_at(file_.get(), bytes.data() + done, left, offset_ + done);
    });
    if (error != 0) fail("write", error);
    offset_ += bytes.size();
}

void TraceWriter::write_out() {
    write(buffer_);
    checksum_.add(buffer_);
    buffer_.clear();
}

void TraceWriter::fail(const char* what, int error) const {
    throw std::system_error{error, std::generic_category(),
                            std::string{"cannot "} + what + " the trace " + path_.string()};
}

}  // namespace faultline::trace
