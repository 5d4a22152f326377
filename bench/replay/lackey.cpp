#include "replay/lackey.hpp"

#include <bit>
#include <charconv>
#include <istream>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace bench {
namespace {

// No instruction accesses more bytes at once; a line with a larger size is not lackey's.
constexpr std::uint64_t kLargestAccess = std::uint64_t{1} << 20;

struct Access {
    char kind = 0;  // I, L, S, M
    std::uint64_t address = 0;
    std::uint64_t bytes = 0;
};

// Parses "I  0401ab70,3", " L 1fff0006f8,8", " S ..." or " M ..."; returns nothing for any other line.
std::optional<Access> parse(std::string_view line) {
    if (line.size() < 4 || line[2] != ' ') return std::nullopt;
    Access access;
    const bool fetch = line[0] == 'I' && line[1] == ' ';
    const bool data = line[0] == ' ' && (line[1] == 'L' || line[1] == 'S' || line[1] == 'M');
    if (!fetch && !data) return std::nullopt;
    access.kind = fetch ? 'I' : line[1];
    const char* const end = line.data() + line.size();
    const auto [comma, address_error] = std::from_chars(line.data() + 3, end, access.address, 16);
    if (address_error != std::errc{} || comma == end || *comma != ',') return std::nullopt;
    const auto [rest, size_error] = std::from_chars(comma + 1, end, access.bytes, 10);
    if (size_error != std::errc{} || rest != end || access.bytes == 0 || access.bytes > kLargestAccess)
        return std::nullopt;
    if (access.address + (access.bytes - 1) < access.address) return std::nullopt;
    return access;
}

// Merges references: holds one back until a reference to another page follows.
class Merger {
public:
    explicit Merger(const std::function<void(PageReference)>& sink) : sink_{sink} {}

    void add(std::uint64_t page, bool write) {
        if (held_ && held_->page == page) {
            held_->write |= write;
            return;
        }
        flush();
        held_ = PageReference{page, write};
    }

    void flush() {
        if (!held_) return;
        sink_(*held_);
        held_.reset();
        ++references_;
    }

    [[nodiscard]] std::uint64_t references() const noexcept { return references_; }

private:
    const std::function<void(PageReference)>& sink_;
    std::optional<PageReference> held_;
    std::uint64_t references_ = 0;
};

}  // namespace

LackeyImport import_lackey(std::istream& text, std::uint32_t page_bytes, Instructions instructions,
                           const std::function<void(PageReference)>& sink) {
    const int shift = std::countr_zero(page_bytes);
    LackeyImport result;
    Merger merger{sink};
    for (std::string line; std::getline(text, line);) {
        const std::optional<Access> access = parse(line);
        if (!access) {
            if (!line.starts_with("==")) ++result.skipped_lines;
            continue;
        }
        if (access->kind == 'I' && instructions == Instructions::leave_out) continue;
        ++result.accesses;
        const std::uint64_t last = (access->address + (access->bytes - 1)) >> shift;
        const bool write = access->kind == 'S' || access->kind == 'M';
        for (std::uint64_t page = access->address >> shift; page <= last; ++page) merger.add(page, write);
    }
    if (text.bad()) throw std::runtime_error{"reading the lackey output failed"};
    merger.flush();
    result.references = merger.references();
    if (result.accesses == 0) {
        throw std::runtime_error{
            "no memory access found: is this what `valgrind --tool=lackey --trace-mem=yes` prints?"};
    }
    return result;
}

}  // namespace bench
