#include "tool/stacks/samples_file.hpp"

#include "sys/error.hpp"
#include "trace/stacks/stack_file_format.hpp"
#include "trace/trace_checksum.hpp"

#include <lz4.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <string_view>
#include <utility>

namespace faultline::tool {
namespace {

using trace::BlockKind;
using Bytes = std::span<const unsigned char>;

constexpr std::uint64_t kMostFileBytes = std::uint64_t{64} << 30;

/// Takes numbers and texts from the front of some bytes.
class Cursor {
public:
    /// `where`: the byte of the file, for messages.
    Cursor(Bytes bytes, const std::string& file, std::uint64_t where) noexcept
        : left_{bytes}, file_{file}, where_{where} {}

    [[nodiscard]] bool at_end() const noexcept { return left_.empty(); }

    Bytes bytes(std::size_t count) {
        if (count > left_.size()) fail("a block is shorter than its contents");
        const Bytes taken = left_.first(count);
        left_ = left_.subspan(count);
        return taken;
    }
    std::uint64_t number(std::size_t count) { return trace::load_little_endian(bytes(count).data(), count); }
    std::uint32_t number32() { return static_cast<std::uint32_t>(number(4)); }
    std::string text() {
        const Bytes letters = bytes(number(2));
        return {letters.begin(), letters.end()};
    }
    void end() const {
        if (!left_.empty()) fail("a block is longer than its contents");
    }
    [[noreturn]] void fail(const char* what) const {
        throw BadSamples{file_ + " is damaged at byte " + std::to_string(where_) + ": " + what};
    }

private:
    Bytes left_;
    const std::string& file_;
    std::uint64_t where_;
};

class Reader {
public:
    Reader(Bytes file, const std::string& name) noexcept : file_{file}, name_{name} {}

    std::vector<RecordedSession> read() {
        check_header();
        std::size_t at = trace::kStackHeaderBytes;
        while (at < file_.size()) at += read_block(at);
        std::stable_sort(sessions_.begin(), sessions_.end(),
                         [](const auto& a, const auto& b) { return a.started < b.started; });
        return std::move(sessions_);
    }

private:
    [[noreturn]] void refuse(const std::string& why) const { throw BadSamples{name_ + " " + why}; }

    void check_header() const {
        if (file_.size() < trace::kStackHeaderBytes ||
            !std::equal(trace::kStackMagic.begin(), trace::kStackMagic.end(), file_.begin())) {
            refuse("is not a file of `faultline record`");
        }
        const std::uint64_t version = trace::load_little_endian(&file_[8], 4);
        if (version != trace::kStackVersion) {
            refuse("has version " + std::to_string(version) + "; this command reads version " +
                   std::to_string(trace::kStackVersion));
        }
    }

    /// Returns the block's length in the file.
    std::size_t read_block(std::size_t at) {
        const Bytes rest = file_.subspan(at);
        const std::string where = "at byte " + std::to_string(at);
        if (rest.size() < trace::kBlockHeaderBytes) refuse("ends in the middle of a block, " + where);
        const auto kind = static_cast<BlockKind>(trace::load_little_endian(&rest[0], 4));
        const std::size_t stored = trace::load_little_endian(&rest[4], 4);
        const std::size_t expanded = trace::load_little_endian(&rest[8], 4);
        const std::uint64_t id = trace::load_little_endian(&rest[16], 8);
        if (stored > expanded || expanded > trace::kMostBlockBytes)
            refuse("is damaged " + where + ": a block's length");
        if (stored > rest.size() - trace::kBlockHeaderBytes) refuse("ends in the middle of a block, " + where);
        const Bytes bytes = rest.subspan(trace::kBlockHeaderBytes, stored);
        trace::TraceChecksum checksum;
        checksum.add(rest.first(trace::kChecksummedBlockHeaderBytes));
        checksum.add(bytes);
        if (checksum.value() != trace::load_little_endian(&rest[trace::kChecksummedBlockHeaderBytes], 8)) {
            refuse("is damaged " + where + ": a checksum does not match");
        }
        take(kind, id, expand(bytes, expanded, where), at);
        return trace::kBlockHeaderBytes + stored;
    }

    std::vector<unsigned char> expand(Bytes bytes, std::size_t expanded, const std::string& where) const {
        if (bytes.size() == expanded) return {bytes.begin(), bytes.end()};
        std::vector<unsigned char> result(expanded);
        const int size =
            LZ4_decompress_safe(reinterpret_cast<const char*>(bytes.data()), reinterpret_cast<char*>(result.data()),
                                static_cast<int>(bytes.size()), static_cast<int>(expanded));
        if (size < 0 || static_cast<std::size_t>(size) != expanded)
            refuse("is damaged " + where + ": a compressed block");
        return result;
    }

    void take(BlockKind kind, std::uint64_t id, std::vector<unsigned char> bytes, std::size_t at) {
        Cursor cursor{bytes, name_, at};
        const auto found = std::find_if(sessions_.begin(), sessions_.end(), [&](const auto& s) { return s.id == id; });
        if (kind == BlockKind::process) {
            if (found != sessions_.end()) cursor.fail("a process begins twice");
            take_process(cursor, id);
            return cursor.end();
        }
        if (found == sessions_.end()) cursor.fail("a block of an unknown process");
        switch (kind) {
            case BlockKind::maps:
                take_maps(cursor, *found);
                break;
            case BlockKind::samples:
                // The samples are views of the bytes, which a move leaves where they are.
                while (!cursor.at_end()) take_sample(cursor, *found);
                found->blocks.push_back(std::move(bytes));
                return;
            case BlockKind::totals:
                take_totals(cursor, *found);
                break;
            default:
                cursor.fail("a block of an unknown kind");
        }
        cursor.end();
    }

    void take_process(Cursor& from, std::uint64_t id) {
        RecordedSession session;
        session.id = id;
        session.pid = from.number32();
        session.parent = from.number32();
        session.started = from.number(8);
        session.memory_limit = from.number(8);
        session.resident_limit = from.number(8);
        session.executable = from.text();
        session.command_line = from.text();
        sessions_.push_back(std::move(session));
    }

    static void take_maps(Cursor& from, RecordedSession& session) {
        session.maps.clear();
        for (std::uint32_t left = from.number32(); left > 0; --left) {
            trace::MappedPart part;
            part.begin = from.number(8);
            part.end = from.number(8);
            part.offset = from.number(8);
            part.executable = (from.number(1) & trace::kMapExecutable) != 0;
            const std::size_t id_bytes = from.number(1);
            if (part.begin >= part.end) from.fail("a mapping without bytes");
            if (id_bytes > trace::kMostBuildIdBytes) from.fail("a build id that is too long");
            const Bytes id = from.bytes(id_bytes);
            part.build_id.assign(id.begin(), id.end());
            part.path = from.text();
            session.maps.push_back(std::move(part));
        }
    }

    static void take_sample(Cursor& from, RecordedSession& session) {
        RecordedSample sample;
        sample.time = from.number(8);
        sample.thread = from.number32();
        const std::uint64_t kind = from.number(1);
        if (kind >= trace::kSampledKinds) from.fail("a fault of an unknown kind");
        sample.kind = static_cast<trace::SampledKind>(kind);
        const std::uint64_t flags = from.number(1);
        sample.write = (flags & trace::kSampleWrite) != 0;
        sample.asked = (flags & trace::kSampleAsked) != 0;
        from.bytes(2);
        sample.address = from.number(8);
        sample.address_before = from.number(8);
        sample.took = from.number(8);
        sample.weight = from.number(8);
        sample.step = from.number(8);
        sample.evictions = from.number(8);
        sample.touched_units = from.number(8);
        sample.resident_units = from.number(8);
        sample.evictions_ago = from.number32();
        const std::size_t stack_bytes = from.number32();
        if (stack_bytes > trace::kMostSampledStack) from.fail("a stack that is too long");
        for (std::uint64_t& value : sample.registers) value = from.number(8);
        sample.stack = from.bytes(stack_bytes);
        session.samples.push_back(sample);
    }

    static void take_totals(Cursor& from, RecordedSession& session) {
        session.last_time = from.number(8);
        session.taken = from.number(8);
        session.lost = from.number(8);
        session.evictions = from.number(8);
        session.touched_units = from.number(8);
        for (std::size_t kind = 0; kind < trace::kSampledKinds; ++kind) {
            session.faults[kind] = from.number(8);
            session.nanoseconds[kind] = from.number(8);
        }
    }

    Bytes file_;
    const std::string& name_;
    std::vector<RecordedSession> sessions_;
};

struct CloseStream {
    void operator()(std::FILE* file) const noexcept { static_cast<void>(std::fclose(file)); }
};

}  // namespace

std::vector<RecordedSession> read_samples(std::span<const unsigned char> file, const std::string& name) {
    return Reader{file, name}.read();
}

std::vector<RecordedSession> read_samples_file(const std::string& path) {
    const std::unique_ptr<std::FILE, CloseStream> file{std::fopen(path.c_str(), "rbe")};
    if (!file) {
        const int error = errno;
        sys::throw_error(error, "cannot read " + path + (error == ENOENT ? "; `faultline record` makes it" : ""));
    }
    std::vector<unsigned char> bytes;
    std::array<unsigned char, 1 << 16> piece;
    while (const std::size_t got = std::fread(piece.data(), 1, piece.size(), file.get())) {
        bytes.insert(bytes.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(got));
        if (bytes.size() > kMostFileBytes) throw BadSamples{path + " is larger than 64 GiB"};
    }
    if (std::ferror(file.get()) != 0) sys::throw_error(errno, "cannot read " + path);
    return read_samples(bytes, path);
}

}  // namespace faultline::tool
