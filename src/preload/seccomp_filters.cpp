#include "preload/seccomp_filters.hpp"

#include "sys/file_read.hpp"
#include "sys/fixed_text.hpp"
#include "sys/syscall.hpp"

#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace faultline::preload {
namespace {

using sys::raw_syscall;

constexpr std::string_view kFolder = "/proc/";

/// Returns the number of filters of a process (Linux 5.9 reports it).
std::optional<unsigned> filters_of(std::uint64_t pid) noexcept {
    std::array<char, 4096> text{};  // the line comes after about 1,400 bytes
    sys::FixedText<48> path;
    (path << kFolder).decimal(pid) << "/status";
    const std::string_view lines = sys::read_file_start(path.c_str(), text);
    constexpr std::string_view kName = "\nSeccomp_filters:\t";
    const std::size_t line = lines.find(kName);
    if (line == std::string_view::npos) return std::nullopt;
    unsigned count = 0;
    std::from_chars(lines.data() + line + kName.size(), lines.data() + lines.size(), count);
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
