#include "replay/trace_reader.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <system_error>

namespace bench {

using namespace faultline::trace;  // the format
namespace {

constexpr std::size_t kBufferBytes = std::size_t{64} << 10;

}  // namespace

TraceReader::TraceReader(const std::filesystem::path& path) : path_{path}, buffer_(kBufferBytes) {
    file_.reset(std::fopen(path_.c_str(), "rb"));
    if (!file_) throw std::system_error{errno, std::generic_category(), "cannot open the trace " + path_.string()};
    std::setvbuf(file_.get(), nullptr, _IONBF, 0);
    read_header();
}

void TraceReader::read_header() {
    const std::size_t length = read(header_.data(), header_.size());
    const std::size_t of_magic = std::min(length, kTraceMagic.size());
    if (of_magic == 0) refuse("the file is empty");
    if (!std::equal(kTraceMagic.begin(), kTraceMagic.begin() + static_cast<std::ptrdiff_t>(of_magic),
                    header_.begin())) {
        refuse("this is no trace file (its first bytes are others)");
    }
    if (length < kTraceHeaderBytes) {
        refuse("cut off in its header, after " + std::to_string(length) + " of " + std::to_string(kTraceHeaderBytes) +
               " bytes");
    }
    const std::uint64_t version = load_little_endian(&header_[8], 4);
    if (version != kTraceVersion) {
        refuse("its version is " + std::to_string(version) + ", this program knows " + std::to_string(kTraceVersion));
    }
    page_bytes_ = static_cast<std::uint32_t>(load_little_endian(&header_[12], 4));
    if (!std::has_single_bit(page_bytes_)) {
        refuse("its page size, " + std::to_string(page_bytes_) + ", is no power of two");
    }
    records_ = load_little_endian(&header_[16], 8);
    if (records_ == kUnfinishedTrace) refuse("never finished: the program that wrote it ended too early");
    lost_ = load_little_endian(&header_[24], 8);
}

std::optional<PageReference> TraceReader::next() {
    if (records_read_ == records_) {
        check_end();
        return std::nullopt;
    }
    const std::uint64_t record = next_varint();
    const std::uint64_t page = page_ + static_cast<std::uint64_t>(unzigzag(record >> 1));
    if (page >= kMostPages) refuse("a page number out of range ends" + place());
    page_ = page;
    ++records_read_;
    return PageReference{page, (record & 1) != 0};
}

std::uint64_t TraceReader::next_varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        const std::optional<unsigned char> byte = next_byte();
        if (!byte) {
            refuse("cut off after " + std::to_string(records_read_) + " of " + std::to_string(records_) + " records");
        }
        const std::uint64_t bits = *byte & 0x7fU;
        if (shift == 63 && bits > 1) break;
        value |= bits << shift;
        if (*byte < 0x80) return value;
    }
    refuse("a record of more than 64 bits ends" + place());
}

std::optional<unsigned char> TraceReader::next_byte() {
    if (position_ == buffered_) {
        buffer_offset_ += buffered_;
        position_ = 0;
        buffered_ = read(buffer_.data(), buffer_.size());
        checksum_.add(std::span{buffer_}.first(buffered_));
        if (buffered_ == 0) return std::nullopt;
    }
    return buffer_[position_++];
}

void TraceReader::check_end() {
    if (next_byte()) {
        refuse("bytes follow the last of " + std::to_string(records_) + " records, the first" + place());
    }
    TraceChecksum whole = checksum_;
    whole.add(std::span{header_}.first(kChecksummedHeaderBytes));
    if (whole.value() != load_little_endian(&header_[kChecksummedHeaderBytes], 8)) {
        refuse("its checksum does not match: the file has changed since it was written");
    }
}

std::size_t TraceReader::read(unsigned char* to, std::size_t bytes) {
    const std::size_t length = std::fread(to, 1, bytes, file_.get());
    if (length < bytes && std::ferror(file_.get()) != 0) {
        throw std::system_error{errno, std::generic_category(), "cannot read the trace " + path_.string()};
    }
    return length;
}

/// Returns " at byte N" for the byte read last.
std::string TraceReader::place() const { return " at byte " + std::to_string(buffer_offset_ + position_ - 1); }

void TraceReader::refuse(const std::string& why) const { throw BadTrace{path_.string() + ": " + why}; }

Trace read_trace(const std::filesystem::path& path) {
    TraceReader reader{path};
    Trace trace{reader.page_bytes(), {}, reader.lost()};
    while (const std::optional<PageReference> reference = reader.next()) trace.references.push_back(*reference);
    return trace;
}

}  // namespace bench
