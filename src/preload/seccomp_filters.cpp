#include "preload/seccomp_filters.hpp"

#include "sys/syscall.hpp"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace faultline::preload {
namespace {

using sys::raw_syscall;
using sys::syscall_argument;

constexpr std::string_view kFolder = "/proc/";

/// Returns "/proc/PID/status", ended by a zero byte.
std::array<char, 48> status_path(std::uint64_t pid) noexcept {
    constexpr std::string_view kFile = "/status";
    std::array<char, 48> path{};
    char* const digits = std::copy(kFolder.begin(), kFolder.end(), path.data());
    char* const end = std::to_chars(digits, path.data() + path.size() - kFile.size() - 1, pid).ptr;
    std::copy(kFile.begin(), kFile.end(), end);
    return path;
}

/// Returns the number of filters of a process (Linux 5.9 reports it).
std::optional<unsigned> filters_of(std::uint64_t pid) noexcept {
    std::array<char, 4096> text{};  // the line stands after about 1,400 bytes
    const auto path = status_path(pid);
    const long fd = raw_syscall(SYS_openat, AT_FDCWD, syscall_argument(path.data()), O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0) return std::nullopt;
    const long got = raw_syscall(SYS_read, fd, syscall_argument(text.data()), text.size());
    raw_syscall(SYS_close, fd);
    if (got <= 0) return std::nullopt;
    constexpr std::string_view kName = "\nSeccomp_filters:\t";
    const std::string_view lines{text.data(), static_cast<std::size_t>(got)};
    const std::size_t line = lines.find(kName);
    if (line == std::string_view::npos) return std::nullopt;
    unsigned count = 0;
    std::from_chars(text.data() + line + kName.size(), text.data() + got, count);
    return count;
}

/// Returns the process in "/proc/PID/fd/N"; 0 for any other path.
std::uint64_t process_in(std::string_view path) noexcept {
    if (!path.starts_with(kFolder)) return 0;
    path.remove_prefix(kFolder.size());
    std::uint64_t pid = 0;
    std::from_chars(path.data(), path.data() + path.size(), pid);
    return pid;
}

}  // namespace

bool has_gained_seccomp_filter(std::string_view status_file) noexcept {
    const std::uint64_t command = process_in(status_file);
    const std::uint64_t other = command != 0 ? command : static_cast<std::uint64_t>(raw_syscall(SYS_getppid));
    const std::optional<unsigned> own = filters_of(static_cast<std::uint64_t>(raw_syscall(SYS_getpid)));
    const std::optional<unsigned> others = filters_of(other);
    return own && others && *own > *others;
}

}  // namespace faultline::preload
