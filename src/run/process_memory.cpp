#include "run/process_memory.hpp"

#include "sys/full_transfer.hpp"
#include "sys/syscall.hpp"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>

namespace faultline::run {
namespace {

using sys::raw_syscall;
using sys::syscall_argument;

/// Returns the bytes of the line "NAME:    123 kB"; 0 if there is no such line.
std::uint64_t bytes_in_line(std::string_view text, std::string_view name) noexcept {
    std::size_t at = text.find(name);
    if (at == std::string_view::npos) return 0;
    at = std::min(text.find_first_of("0123456789", at + name.size()), text.size());
    std::uint64_t kibibytes = 0;
    std::from_chars(text.data() + at, text.data() + text.size(), kibibytes);
    return kibibytes << 10;
}

/// Fills `text` from the file. Returns the number of bytes read.
std::size_t read_file(const char* path, std::array<char, 4096>& text) noexcept {
    const long fd = raw_syscall(SYS_openat, AT_FDCWD, syscall_argument(path), O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0) return 0;
    const sys::Transferred got =
        sys::transfer_to_end("read of a file in /proc", text.size(), [&](std::size_t done, std::size_t left) {
            return raw_syscall(SYS_read, fd, syscall_argument(text.data() + done), left);
        });
    raw_syscall(SYS_close, fd);
    return got.bytes;
}

}  // namespace

void raise_peaks(MemoryPeaks& peaks, std::string_view text) noexcept {
    const std::uint64_t anonymous = bytes_in_line(text, "\nRssAnon:") + bytes_in_line(text, "\nRssShmem:");
    peaks.resident = std::max(peaks.resident, bytes_in_line(text, "\nVmHWM:"));
    peaks.anonymous = std::max(peaks.anonymous, anonymous);
    peaks.file = std::max(peaks.file, bytes_in_line(text, "\nRssFile:"));
}

void raise_peaks(MemoryPeaks& peaks) noexcept {
    std::array<char, 4096> text;
    const std::size_t bytes = read_file("/proc/self/status", text);
    raise_peaks(peaks, {text.data(), bytes});
}

}  // namespace faultline::run
