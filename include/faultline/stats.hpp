// What a region and a pager have counted: plain values, copied out. The live counters are sharded inside the pager,
// so reading them while faults run gives each figure as it was at some moment of the call, not one snapshot of all.
#pragma once

#include <faultline/language.hpp>

#include <faultline/latency_histogram.hpp>

#include <cstdint>

namespace faultline {

struct RegionStats {
    // Faults, by what they needed.
    std::uint64_t first_touches = 0;  ///< Pages that began as zeros.
    std::uint64_t hard_faults = 0;    ///< Faults that read the store.
    std::uint64_t soft_faults = 0;    ///< Faults that took a staged page back, or one that a clone shares over: no I/O.
    std::uint64_t write_faults = 0;   ///< First writes to a clean resident page.
    std::uint64_t failed_faults = 0;  ///< Faults answered with SIGBUS: failing read, or no room for eviction.

    // Traffic.
    std::uint64_t evictions = 0;         ///< Pages that gave up their frame.
    std::uint64_t clean_evictions = 0;   ///< Of those, the ones that cost no I/O: clean, or all zero.
    std::uint64_t pages_read_ahead = 0;  ///< Pages that came in beside the faulting one.
    std::uint64_t bytes_read = 0;        ///< From the store.
    std::uint64_t bytes_written = 0;     ///< To the store.
    std::uint64_t read_errors = 0;       ///< Reads from the store that failed for good.
    std::uint64_t write_errors = 0;      ///< Pages that the store did not take (each stayed in memory).

    // State now, in bytes.
    std::uint64_t resident_bytes = 0;  ///< Mapped in the program's view.
    std::uint64_t dirty_bytes = 0;     ///< Resident or staged, newer than the store.
    std::uint64_t staged_bytes = 0;    ///< Off the view, frame still held.
    std::uint64_t swapped_bytes = 0;   ///< Only in the store.
    std::uint64_t pinned_bytes = 0;    ///< Under at least one `Pin`.

    /// Adds figure by figure.
    RegionStats& operator+=(const RegionStats& other) noexcept {
        first_touches += other.first_touches;
        hard_faults += other.hard_faults;
        soft_faults += other.soft_faults;
        write_faults += other.write_faults;
        failed_faults += other.failed_faults;
        evictions += other.evictions;
        clean_evictions += other.clean_evictions;
        pages_read_ahead += other.pages_read_ahead;
        bytes_read += other.bytes_read;
        bytes_written += other.bytes_written;
        read_errors += other.read_errors;
        write_errors += other.write_errors;
        resident_bytes += other.resident_bytes;
        dirty_bytes += other.dirty_bytes;
        staged_bytes += other.staged_bytes;
        swapped_bytes += other.swapped_bytes;
        pinned_bytes += other.pinned_bytes;
        return *this;
    }
};

/// The sums over all regions of a pager, gone ones included, and what only the pager knows.
struct PagerStats : RegionStats {
    std::uint64_t resident_limit = 0;  ///< In bytes.
    std::uint64_t frames_used = 0;     ///< In bytes: resident + staged + being filled. Never above `resident_limit`.
    std::uint64_t frames_peak = 0;     ///< In bytes: the most that `frames_used` has been.
    std::uint64_t compressed_used =
        0;  ///< In bytes: memory that compressed pages take. Never above `compressed_limit`.
    std::uint64_t direct_reclaims = 0;  ///< Times a faulting thread had to evict for itself.

    // Time from the fault's arrival at the pager to its answer, in nanoseconds. Under `uffd_threads` the wake-up
    // before and after is not in it: bench/fault_latency measures that from outside.
    LatencyHistogram first_touch_latency;
    LatencyHistogram hard_latency;
    LatencyHistogram soft_latency;
    LatencyHistogram write_latency;
};

/// A part of a region, for residency maps: how many bytes of it are in which state.
struct ResidencyCell {
    std::uint64_t untouched = 0;
    std::uint64_t resident = 0;
    std::uint64_t dirty = 0;  ///< Of the resident ones.
    std::uint64_t staged = 0;
    std::uint64_t swapped = 0;
};

}  // namespace faultline
