#include "trace/stacks/stack_file_writer.hpp"

#include "sys/clock.hpp"
#include "sys/file_read.hpp"
#include "sys/file_write.hpp"
#include "sys/full_transfer.hpp"
#include "sys/syscall.hpp"
#include "trace/trace_checksum.hpp"

#include <fcntl.h>
#include <lz4.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>
#include <system_error>

namespace faultline::trace {
namespace {

constexpr std::size_t kSamplesInBlock = std::size_t{128} << 10;  // bytes

/// Appends numbers and texts to a vector of bytes.
class Bytes {
public:
    explicit Bytes(std::vector<unsigned char>& to) noexcept : to_{to} {}

    Bytes& number(std::uint64_t value, std::size_t bytes) {
        to_.resize(to_.size() + bytes);
        store_little_endian(to_.data() + to_.size() - bytes, value, bytes);
        return *this;
    }
    /// With its length before it, cut if that does not fit 16 bits.
    Bytes& text(std::string_view text) {
        text = text.substr(0, 0xffff);
        number(text.size(), 2);
        to_.insert(to_.end(), text.begin(), text.end());
        return *this;
    }

private:
    std::vector<unsigned char>& to_;
};

/// Differs between the sessions of one file: a process has one at a time.
std::uint64_t new_session() {
    const auto now = static_cast<std::uint64_t>(sys::monotonic_time().count());
    return now << 22 ^ static_cast<std::uint64_t>(::getpid());
}

std::string executable_path() {
    std::array<char, 4096> path{};
    const long bytes = sys::raw_syscall(SYS_readlink, sys::syscall_argument("/proc/self/exe"),
                                        sys::syscall_argument(path.data()), path.size());
    return bytes > 0 ? std::string{path.data(), static_cast<std::size_t>(bytes)} : std::string{};
}

/// Returns the program's arguments with spaces between, cut at 4,096 bytes.
std::string command_line() {
    std::array<char, 4096> buffer{};
    std::string words{sys::read_file_start("/proc/self/cmdline", buffer)};
    while (!words.empty() && words.back() == '\0') words.pop_back();
    std::replace(words.begin(), words.end(), '\0', ' ');
    return words;
}

std::uint64_t scaled(std::uint64_t ticks, double nanoseconds_per_tick) {
    return static_cast<std::uint64_t>(static_cast<double>(ticks) * nanoseconds_per_tick);
}

}  // namespace

StackFileWriter::StackFileWriter(const std::filesystem::path& path, const StackSession& session)
    : path_{path}, session_{new_session()} {
    open(0);
    begin_file();
    write_process(session);
}

void StackFileWriter::create(const std::filesystem::path& path) {
    StackFileWriter writer{path};
    writer.open(O_TRUNC);
    writer.begin_file();
    if (const int error = writer.file_.close()) writer.fail("write", error);
}

void StackFileWriter::open(int flags) {
    constexpr mode_t kOwnerOnly = 0600;
    constexpr int kFlags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY;
    file_ = sys::FileDescriptor{::open(path_.c_str(), kFlags | flags, kOwnerOnly)};
    if (!file_) fail("create", errno);
}

/// Writes the header if the file is empty.
void StackFileWriter::begin_file() {
    struct stat file {};
    if (::fstat(file_.get(), &file) != 0) fail("look at", errno);
    if (!S_ISREG(file.st_mode)) fail("append to", EINVAL);
    if (file.st_size != 0) return;
    std::vector<unsigned char> header{kStackMagic.begin(), kStackMagic.end()};
    Bytes{header}.number(kStackVersion, 4).number(0, 4);
    write_out(header);
}

void StackFileWriter::write_process(const StackSession& session) {
    std::vector<unsigned char> bytes;
    Bytes{bytes}
        .number(static_cast<std::uint64_t>(::getpid()), 4)
        .number(static_cast<std::uint64_t>(sys::raw_syscall(SYS_getppid)), 4)
        .number(static_cast<std::uint64_t>(sys::monotonic_time().count()), 8)
        .number(session.memory_limit, 8)
        .number(session.resident_limit, 8)
        .text(executable_path())
        .text(command_line());
    write_block(BlockKind::process, bytes);
}

void StackFileWriter::append(const StackSample& sample, double nanoseconds_per_tick) {
    Bytes bytes{samples_};
    bytes.number(sample.time, 8)
        .number(sample.thread, 4)
        .number(static_cast<std::uint64_t>(sample.kind), 1)
        .number((sample.write ? kSampleWrite : 0) | (sample.asked ? kSampleAsked : 0), 1)
        .number(0, 2)
        .number(sample.address, 8)
        .number(sample.address_before, 8)
        .number(scaled(sample.ticks, nanoseconds_per_tick), 8)
        .number(scaled(sample.weight_ticks, nanoseconds_per_tick), 8)
        .number(scaled(sample.step_ticks, nanoseconds_per_tick), 8)
        .number(sample.evictions, 8)
        .number(sample.touched_units, 8)
        .number(sample.resident_units, 8)
        .number(sample.evictions_ago, 4)
        .number(sample.stack_bytes, 4);
    for (const std::uint64_t value : sample.registers) bytes.number(value, 8);
    const auto* const stack = reinterpret_cast<const unsigned char*>(sample.stack.data());
    samples_.insert(samples_.end(), stack, stack + sample.stack_bytes);
    if (samples_.size() >= kSamplesInBlock) flush_samples();
}

void StackFileWriter::flush_samples() {
    if (samples_.empty()) return;
    write_block(BlockKind::samples, samples_);
    samples_.clear();
}

void StackFileWriter::write(const ProcessMaps& maps) {
    std::vector<unsigned char> bytes;
    Bytes to{bytes};
    to.number(maps.parts().size(), 4);
    for (const MappedPart& part : maps.parts()) {
        to.number(part.begin, 8).number(part.end, 8).number(part.offset, 8);
        to.number(part.executable ? kMapExecutable : 0, 1).number(part.build_id.size(), 1);
        bytes.insert(bytes.end(), part.build_id.begin(), part.build_id.end());
        to.text(part.path);
    }
    write_block(BlockKind::maps, bytes);
}

void StackFileWriter::write(const FaultTotals& totals, std::chrono::nanoseconds now, double nanoseconds_per_tick) {
    std::vector<unsigned char> bytes;
    Bytes to{bytes};
    to.number(static_cast<std::uint64_t>(now.count()), 8);
    to.number(totals.samples, 8).number(totals.lost, 8).number(totals.evictions, 8);
    to.number(totals.touched_units, 8);
    for (std::size_t kind = 0; kind < kSampledKinds; ++kind) {
        to.number(totals.faults[kind], 8).number(scaled(totals.ticks[kind], nanoseconds_per_tick), 8);
    }
    write_block(BlockKind::totals, bytes);
}

void StackFileWriter::write_block(BlockKind kind, std::span<const unsigned char> bytes) {
    const int most = LZ4_compressBound(static_cast<int>(bytes.size()));
    block_.resize(kBlockHeaderBytes + static_cast<std::size_t>(most));
    const int packed = LZ4_compress_default(reinterpret_cast<const char*>(bytes.data()),
                                            reinterpret_cast<char*>(block_.data() + kBlockHeaderBytes),
                                            static_cast<int>(bytes.size()), most);
    std::size_t stored = packed > 0 ? static_cast<std::size_t>(packed) : bytes.size();
    if (stored >= bytes.size()) {
        stored = bytes.size();
        std::copy(bytes.begin(), bytes.end(), block_.begin() + kBlockHeaderBytes);
    }
    block_.resize(kBlockHeaderBytes + stored);
    store_little_endian(&block_[0], static_cast<std::uint64_t>(kind), 4);
    store_little_endian(&block_[4], stored, 4);
    store_little_endian(&block_[8], bytes.size(), 4);
    store_little_endian(&block_[12], 0, 4);
    store_little_endian(&block_[16], session_, 8);
    TraceChecksum checksum;
    checksum.add(std::span{block_}.first(kChecksummedBlockHeaderBytes));
    checksum.add(std::span{block_}.subspan(kBlockHeaderBytes));
    store_little_endian(&block_[kChecksummedBlockHeaderBytes], checksum.value(), 8);
    write_out(block_);
}

/// Appends with one call, so that blocks of several processes do not mix. The kernel ignores the offset.
void StackFileWriter::write_out(std::span<const unsigned char> bytes) {
    const int error =
        sys::transfer_all("pwrite of stack samples", bytes.size(), [&](std::size_t done, std::size_t left) {
            return sys::write_file_at(file_.get(), bytes.data() + done, left, 0);
        });
    if (error != 0) fail("write", error);
}

void StackFileWriter::fail(const char* what, int error) const {
    throw std::system_error{error, std::generic_category(),
                            std::string{"cannot "} + what + " the file of stack samples " + path_.string()};
}

}  // namespace faultline::trace
