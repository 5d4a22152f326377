// What the kernel reports about this process: memory, descriptors, mappings.
#pragma once

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>

namespace faultline::test {

/// Returns the number of a line such as "VmRSS:   123 kB" in /proc/self/status, in bytes.
inline std::size_t status_bytes(const std::string& field) {
    std::ifstream status{"/proc/self/status"};
    for (std::string line; std::getline(status, line);) {
        if (line.rfind(field + ":", 0) != 0) continue;
        std::istringstream rest{line.substr(field.size() + 1)};
        std::size_t kib = 0;
        rest >> kib;
        return kib << 10;
    }
    return 0;
}

inline std::size_t resident_bytes() { return status_bytes("VmRSS"); }
inline std::size_t peak_resident_bytes() { return status_bytes("VmHWM"); }

/// Resets the peak, so that the next one is this test's own. A process may do this for itself without a privilege.
inline void reset_peak_resident_bytes() { std::ofstream{"/proc/self/clear_refs"} << "5"; }

inline std::size_t open_descriptors() {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator{"/proc/self/fd"}) ++count;
    return count;
}

inline std::size_t mappings() {
    std::ifstream maps{"/proc/self/maps"};
    std::size_t count = 0;
    while (maps.ignore(std::numeric_limits<std::streamsize>::max(), '\n')) ++count;
    return count;
}

}  // namespace faultline::test
