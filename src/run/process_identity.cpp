#include "run/process_identity.hpp"

#include "sys/full_transfer.hpp"
#include "sys/syscall.hpp"

#include <fcntl.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <string_view>

namespace faultline::run {
namespace {

using sys::raw_syscall;
using sys::syscall_argument;

struct StatLine {
    std::array<char, 1024> text{};  // the longest line has about 400 bytes
    std::size_t bytes = 0;
};

/// Returns "/proc/PID/stat", ended by a zero byte.
std::array<char, 48> stat_path(std::uint64_t pid) noexcept {
    constexpr std::string_view kBegin = "/proc/";
    constexpr std::string_view kEnd = "/stat";
    std::array<char, 48> path{};
    char* const digits = std::copy(kBegin.begin(), kBegin.end(), path.data());
    char* const end = std::to_chars(digits, path.data() + path.size() - kEnd.size() - 1, pid).ptr;
    std::copy(kEnd.begin(), kEnd.end(), end);
    return path;
}

StatLine read_stat(std::uint64_t pid) noexcept {
    StatLine line;
    const auto path = stat_path(pid);
    const long fd = raw_syscall(SYS_openat, AT_FDCWD, syscall_argument(path.data()), O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0) return line;
    const sys::Transferred got =
        sys::transfer_to_end("read of a file in /proc", line.text.size(), [&](std::size_t done, std::size_t left) {
            return raw_syscall(SYS_read, fd, syscall_argument(line.text.data() + done), left);
        });
    raw_syscall(SYS_close, fd);
    line.bytes = got.bytes;
    return line;
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
    const StatLine line = read_stat(pid);
    const StatFields fields{{line.text.data(), line.bytes}};
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
    const StatLine line = read_stat(pid);
    const StatFields fields{{line.text.data(), line.bytes}};
    if (fields.rest.empty()) return false;
    const std::string_view state = fields.field(kState);
    return fields.number(kStart) == start_ticks && state != "Z" && state != "X";
}

}  // namespace faultline::run
