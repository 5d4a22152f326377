#include "trace/stacks/process_maps.hpp"

#include "sys/file_descriptor.hpp"

#include <elf.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <set>
#include <string_view>

namespace faultline::trace {
namespace {

std::string read_all(const char* path) {
    const sys::FileDescriptor file{::open(path, O_RDONLY | O_CLOEXEC)};
    std::string text;
    if (!file) return text;
    std::array<char, 16384> piece{};
    for (;;) {
        const ssize_t got = ::read(file.get(), piece.data(), piece.size());
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return text;
        text.append(piece.data(), static_cast<std::size_t>(got));
    }
}

/// Reads `bytes` at `offset`; fewer at the end of the file.
std::vector<unsigned char> read_at(int fd, std::uint64_t offset, std::size_t bytes) {
    std::vector<unsigned char> buffer(bytes);
    const ssize_t got = ::pread(fd, buffer.data(), bytes, static_cast<off_t>(offset));
    buffer.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return buffer;
}

template <typename Struct>
bool copy_out(const std::vector<unsigned char>& from, std::size_t at, Struct& to) {
    if (at > from.size() || from.size() - at < sizeof to) return false;
    std::memcpy(&to, from.data() + at, sizeof to);
    return true;
}

/// Finds the note of the build id among the notes of one segment.
std::vector<unsigned char> build_id_among(const std::vector<unsigned char>& notes) {
    constexpr std::size_t kAlignment = 4;
    const auto padded = [](std::size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; };
    Elf64_Nhdr note{};
    for (std::size_t at = 0; copy_out(notes, at, note);) {
        const std::size_t name = at + sizeof note;
        const std::size_t bytes = name + padded(note.n_namesz);
        if (bytes > notes.size() || notes.size() - bytes < note.n_descsz) break;
        const bool gnu = note.n_namesz == 4 && std::memcmp(notes.data() + name, "GNU", 4) == 0;
        if (gnu && note.n_type == NT_GNU_BUILD_ID) {
            const auto* const begin = notes.data() + bytes;
            return {begin, begin + note.n_descsz};
        }
        at = bytes + padded(note.n_descsz);
    }
    return {};
}

std::vector<unsigned char> build_id_of(const std::string& path) {
    constexpr std::size_t kMostNotes = 64 << 10;
    constexpr std::size_t kMostBuildId = 64;
    const sys::FileDescriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    if (!file) return {};
    Elf64_Ehdr header{};
    if (!copy_out(read_at(file.get(), 0, sizeof header), 0, header)) return {};
    if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_phentsize != sizeof(Elf64_Phdr)) return {};
    const std::vector<unsigned char> table = read_at(file.get(), header.e_phoff, header.e_phnum * sizeof(Elf64_Phdr));
    Elf64_Phdr segment{};
    for (std::size_t i = 0; copy_out(table, i * sizeof segment, segment); ++i) {
        if (segment.p_type != PT_NOTE) continue;
        const std::size_t bytes = std::min<std::size_t>(segment.p_filesz, kMostNotes);
        std::vector<unsigned char> id = build_id_among(read_at(file.get(), segment.p_offset, bytes));
        if (!id.empty() && id.size() <= kMostBuildId) return id;
    }
    return {};
}

struct Line {
    MappedPart part;
    bool of_file = false;
};

/// "begin-end rwxp offset device inode   path"
bool parse(const std::string& line, Line& parsed) {
    unsigned long begin = 0;
    unsigned long end = 0;
    unsigned long offset = 0;
    unsigned long inode = 0;
    char access[5] = {};
    int path = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx %4s %lx %*s %lu %n", &begin, &end, access, &offset, &inode, &path) < 5) {
        return false;
    }
    parsed.part = {begin, end, offset, access[2] == 'x', line.substr(static_cast<std::size_t>(path)), {}};
    parsed.of_file = inode != 0 && parsed.part.path.starts_with('/');
    return true;
}

}  // namespace

ProcessMaps::ProcessMaps() {
    const std::string text = read_all("/proc/self/maps");
    std::vector<MappedPart> of_files;
    std::set<std::string> with_code;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        Line line;
        const bool valid = parse(text.substr(at, end - at), line);
        at = end + 1;
        if (!valid) continue;
        if (line.part.executable) code_.push_back({line.part.begin, line.part.end});
        if (!line.of_file) continue;
        if (line.part.executable) with_code.insert(line.part.path);
        of_files.push_back(std::move(line.part));
    }
    std::map<std::string, std::vector<unsigned char>> build_ids;
    for (const std::string& path : with_code) build_ids[path] = build_id_of(path);
    for (MappedPart& part : of_files) {
        const auto id = build_ids.find(part.path);
        if (id == build_ids.end()) continue;
        part.build_id = id->second;
        parts_.push_back(std::move(part));
    }
}

bool ProcessMaps::has_code_at(std::uint64_t address) const noexcept {
    const auto after = std::upper_bound(code_.begin(), code_.end(), address,
                                        [](std::uint64_t at, const Range& range) { return at < range.begin; });
    return after != code_.begin() && address < std::prev(after)->end;
}

}  // namespace faultline::trace
