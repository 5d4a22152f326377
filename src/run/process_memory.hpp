// What the kernel counts as a process's memory: all of it, not only what faultline manages.
#pragma once

#include <cstdint>
#include <string_view>

namespace faultline::run {

/// The most bytes in memory so far. The kernel keeps the first figure; the others are the most of all samples.
struct MemoryPeaks {
    std::uint64_t resident = 0;   ///< VmHWM. 0: not known.
    std::uint64_t anonymous = 0;  ///< RssAnon and RssShmem: memory that no file on a disk stands behind.
    std::uint64_t file = 0;       ///< RssFile: program code, libraries, mapped files.

    bool operator==(const MemoryPeaks&) const = default;
};

/// Raises `peaks` to what `text` says, which is /proc/PID/status. Signal-safe.
void raise_peaks(MemoryPeaks& peaks, std::string_view text) noexcept;

/// Raises `peaks` to what the kernel says of the calling process; leaves them where it says nothing. Signal-safe.
void raise_peaks(MemoryPeaks& peaks) noexcept;

}  // namespace faultline::run
