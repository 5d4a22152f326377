// The cases of fault_latency, group by group. A name reads mechanism/what/order/threads.
#pragma once

#include <cstddef>
#include <filesystem>

namespace bench {

struct LatencyOptions {
    std::filesystem::path directory{"/var/tmp"};  ///< For swap files and the file that pread reads.
    bool smoke = false;

    /// Pages of a batch; a batch is set up untimed.
    [[nodiscard]] std::size_t pages() const noexcept { return smoke ? 256 : 4096; }
};

/// Faults that the kernel answers by itself: the floor.
void register_kernel_cases(const LatencyOptions& options);

/// Faults answered in a signal handler: mprotect, MADV_GUARD_REMOVE, UFFDIO_ZEROPAGE, UFFDIO_COPY, UFFDIO_MOVE.
void register_bare_signal_cases(const LatencyOptions& options);

/// Faults answered by userfaultfd handler threads: one pinned to each CPU and blocked in read, or one that polls.
void register_bare_thread_cases(const LatencyOptions& options);

/// System calls without a fault: UFFDIO_MOVE, UFFDIO_COPY, pread with O_DIRECT.
void register_direct_cases(const LatencyOptions& options);

/// The library, each delivery.
void register_faultline_cases(const LatencyOptions& options);

}  // namespace bench
