#include "run/process_memory.hpp"

#include "sys/file_read.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>

namespace faultline::run {
namespace {

/// Returns the bytes of the line "NAME:    123 kB"; 0 if there is no such line.
std::uint64_t bytes_in_line(std::string_view text, std::string_view name) noexcept {
    std::size_t at = text.find(name);
    if (at == std::string_view::npos) return 0;
    at = std::min(text.find_first_of("0123456789", at + name.size()), text.size());
    std::uint64_t kibibytes = 0;
    std::from_chars(text.data() + at, text.data() + text.size(), kibibytes);
    return kibibytes << 10;
}

std::uint64_t anonymous_in(std::string_view text) noexcept {
    return bytes_in_line(text, "\nRssAnon:") + bytes_in_line(text, "\nRssShmem:");
}

}  // namespace

std::uint64_t anonymous_memory() noexcept {
    std::array<char, 4096> text;
    return anonymous_in(sys::read_file_start("/proc/self/status", text));
}

void raise_peaks(MemoryPeaks& peaks, std::string_view text) noexcept {
    const std::uint64_t anonymous = anonymous_in(text);
    peaks.resident = std::max(peaks.resident, bytes_in_line(text, "\nVmHWM:"));
    peaks.anonymous = std::max(peaks.anonymous, anonymous);
    peaks.file = std::max(peaks.file, bytes_in_line(text, "\nRssFile:"));
}

void raise_peaks(MemoryPeaks& peaks) noexcept {
    std::array<char, 4096> text;
    raise_peaks(peaks, sys::read_file_start("/proc/self/status", text));
}

}  // namespace faultline::run
