#include "pager/trace_writer.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <stdexcept>
#include <string>
#include <system_error>

namespace faultline::detail {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{64} << 10;

}  // namespace

TraceWriter::TraceWriter(const std::filesystem::path& path, std::uint32_t page_bytes)
    : path_{path}, page_bytes_{page_bytes} {
    if (!std::has_single_bit(page_bytes)) {
        throw std::invalid_argument{"a trace's page size must be a power of two, not " + std::to_string(page_bytes)};
    }
    file_.reset(std::fopen(path_.c_str(), "wb"));
    if (!file_) fail("create");
    std::setvbuf(file_.get(), nullptr, _IONBF, 0);  // there is a buffer here already
    buffer_.reserve(kBufferBytes);
    write(header(kUnfinishedTrace, 0));
}

void TraceWriter::append(std::uint64_t page, bool write) {
    if (page >= kMostPages) {
        throw std::out_of_range{"page number " + std::to_string(page) + " does not fit a trace"};
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
    if (std::fseek(file_.get(), 0, SEEK_SET) != 0) fail("seek in");
    TraceHeader whole = header(records_, lost);
    checksum_.add(std::span{whole}.first(kChecksummedHeaderBytes));
    store_little_endian(&whole[kChecksummedHeaderBytes], checksum_.value(), 8);
    write(whole);
    if (std::fclose(file_.release()) != 0) fail("write");
}

/// Without the checksum.
TraceHeader TraceWriter::header(std::uint64_t records, std::uint64_t lost) const {
    TraceHeader made{};
    std::copy(kTraceMagic.begin(), kTraceMagic.end(), made.begin());
    store_little_endian(&made[8], kTraceVersion, 4);
    store_little_endian(&made[12], page_bytes_, 4);
    store_little_endian(&made[16], records, 8);
    store_little_endian(&made[24], lost, 8);
    return made;
}

void TraceWriter::write(const TraceHeader& header) {
    if (std::fwrite(header.data(), 1, header.size(), file_.get()) != header.size()) fail("write");
}

void TraceWriter::write_out() {
    if (std::fwrite(buffer_.data(), 1, buffer_.size(), file_.get()) != buffer_.size()) fail("write");
    checksum_.add(buffer_);
    buffer_.clear();
}

void TraceWriter::fail(const char* what) const {
    throw std::system_error{errno, std::generic_category(),
                            std::string{"cannot "} + what + " the trace " + path_.string()};
}

}  // namespace faultline::detail
