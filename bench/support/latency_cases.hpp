// The cases of fault_latency, group by group. A case's name is mechanism/what/order/threads.
#pragma once

#include <cstddef>
#include <filesystem>

namespace bench {

inline constexpr std::size_t kPageBytes = 4096;

struct LatencyOptions {
    std::filesystem::path directory{"/var/tmp"};  ///< Directory of swap files and of the file that pread reads.
    bool smoke = false;

    /// Pages of a batch. A batch is set up untimed.
    [[nodiscard]] std::size_t pages() const noexcept { return smoke ? 256 : 4096; }
};

/// Faults that the kernel answers itself: the lower bound.
void register_kernel_cases(const LatencyOptions& options);

/// Faults answered in a signal handler: mprotect, MADV_GUARD_REMOVE, UFFDIO_ZEROPAGE, UFFDIO_COPY, UFFDIO_MOVE.
void register_bare_signal_cases(const LatencyOptions& options);

/// Faults answered by userfaultfd handler threads: one pinned to each CPU and blocked in read, or one that polls.
void register_bare_thread_cases(const LatencyOptions& options);

/// System calls without a fault: UFFDIO_MOVE, UFFDIO_COPY, pread with O_DIRECT.
void register_direct_cases(const LatencyOptions& options);

/// The library's faults, under each delivery.
void register_faultline_cases(const LatencyOptions& options);

}  // namespace bench
