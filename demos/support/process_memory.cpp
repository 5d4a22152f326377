#include "support/process_memory.hpp"

#include <charconv>
#include <cstdint>
#include <fstream>
#include <string>
#include <string_view>
#include <system_error>

namespace faultline::demo {
namespace {

/// Returns the number of a line like "VmHWM:      1234 kB", in bytes.
std::uint64_t status_bytes(std::string_view key) {
    std::ifstream status{"/proc/self/status"};
    for (std::string line; std::getline(status, line);) {
        if (!line.starts_with(key)) continue;
        const std::size_t digits = line.find_first_of("0123456789");
        if (digits == std::string::npos) break;
        std::uint64_t kibibytes = 0;
        const auto result = std::from_chars(line.data() + digits, line.data() + line.size(), kibibytes);
        if (result.ec != std::errc{}) break;
        return kibibytes * 1024;
    }
    throw std::system_error(std::make_error_code(std::errc::io_error),
                            "/proc/self/status has no " + std::string{key} + " (is /proc mounted?)");
}

}  // namespace

std::uint64_t resident_bytes() { return status_bytes("VmRSS:"); }

std::uint64_t peak_resident_bytes() { return status_bytes("VmHWM:"); }

}  // namespace faultline::demo
