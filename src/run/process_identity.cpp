#include "run/process_identity.hpp"

#include "sys/file_read.hpp"
#include "sys/fixed_text.hpp"
#include "sys/syscall.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <string_view>

namespace faultline::run {
namespace {

using sys::raw_syscall;

using StatBuffer = std::array<char, 1024>;  // the longest line has about 400 bytes

std::string_view read_stat(std::uint64_t pid, StatBuffer& buffer) noexcept {
    sys::FixedText<48> path;
    (path << "/proc/").decimal(pid) << "/stat";
    return sys::read_file_start(path.c_str(), buffer);
}

/// Splits "PID (NAME) STATE PPID ...". The name may contain any character, also ')'. proc(5) counts the fields from 1.
struct StatFields {
    std::string_view name;
    std::string_view rest;  // from field 3, the state, on

    explicit StatFields(std::string_view line) noexcept {
        const std::size_t open = line.find('(');
        const std::size_t close = line.rfind(')');
        if (open == std::string_view::npos || close == std::string_view::npos || close + 2 > line.size()) return;
        name = line.substr(open + 1, close - open - 1);
        rest = line.substr(close + 2);
    }

    [[nodiscard]] std::string_view field(unsigned number) const noexcept {
        std::string_view left = rest;
        for (unsigned at = 3; at < number && !left.empty(); ++at)
            left.remove_prefix(std::min(left.find(' '), left.size() - 1) + 1);
        return left.substr(0, left.find(' '));
    }

    [[nodiscard]] std::uint64_t number(unsigned field_number) const noexcept {
        const std::string_view text = field(field_number);
        std::uint64_t value = 0;
        std::from_chars(text.data(), text.data() + text.size(), value);
        return value;
    }
};

constexpr unsigned kState = 3;
constexpr unsigned kParent = 4;
constexpr unsigned kStart = 22;

}  // namespace

ProcessIdentity identify_process(std::uint64_t pid) noexcept {
    StatBuffer buffer;
    const StatFields fields{read_stat(pid, buffer)};
    ProcessIdentity identity;
    if (fields.rest.empty()) return identity;
    identity.pid = pid;
    identity.parent_pid = fields.number(kParent);
    identity.start_ticks = fields.number(kStart);
    std::copy_n(fields.name.begin(), std::min(fields.name.size(), identity.name.size() - 1), identity.name.begin());
    return identity;
}

std::uint64_t this_pid() noexcept { return static_cast<std::uint64_t>(raw_syscall(SYS_getpid)); }

ProcessIdentity identify_this_process() noexcept {
    ProcessIdentity identity = identify_process(this_pid());
    if (identity.pid == 0) {
        identity.pid = this_pid();
        identity.parent_pid = static_cast<std::uint64_t>(raw_syscall(SYS_getppid));
    }
    return identity;
}

bool is_running(std::uint64_t pid, std::uint64_t start_ticks) noexcept {
    StatBuffer buffer;
    const StatFields fields{read_stat(pid, buffer)};
    if (fields.rest.empty()) return false;
    const std::string_view state = fields.field(kState);
    return fields.number(kStart) == start_ticks && state != "Z" && state != "X";
}

}  // namespace faultline::run
