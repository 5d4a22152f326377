// The kernel's figures of a process's memory: all of it, not only the memory that faultline manages.
// Called by the preload for the status file. Allocates nothing and throws nothing.
#pragma once

#include <cstdint>
#include <string_view>

namespace faultline::run {

/// The peaks so far, in bytes. The kernel keeps the first; the others are the largest of all samples.
struct MemoryPeaks {
    std::uint64_t resident = 0;   ///< VmHWM. 0: unknown.
    std::uint64_t anonymous = 0;  ///< RssAnon and RssShmem: memory that no file on disk backs.
    std::uint64_t file = 0;       ///< RssFile: program code, libraries, mapped files.

    // At the sample with the most anonymous memory: the parts of it that the pager holds.
    std::uint64_t managed = 0;     ///< Frames of managed pages.
    std::uint64_t compressed = 0;  ///< Compressed pages.

    bool operator==(const MemoryPeaks&) const = default;
};

/// Raises `peaks` to the figures in `text`, the contents of /proc/PID/status. Signal-safe.
void raise_peaks(MemoryPeaks& peaks, std::string_view text) noexcept;

/// Raises `peaks` to the kernel's figures for the calling process; leaves them if /proc is not available. Signal-safe.
void raise_peaks(MemoryPeaks& peaks) noexcept;

/// Returns the anonymous memory of the calling process in bytes, as in MemoryPeaks; 0 if /proc is not available.
/// Signal-safe.
[[nodiscard]] std::uint64_t anonymous_memory() noexcept;

}  // namespace faultline::run
