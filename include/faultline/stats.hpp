// RegionStats, PagerStats, ResidencyCell: what a region and a pager have counted, as plain values. They are not the
// live counters, which are sharded inside the pager. While faults run, each figure is as it was at some moment of the
// call; the figures together are no snapshot.
#pragma once

#include <faultline/language.hpp>

#include <faultline/export.hpp>
#include <faultline/latency_histogram.hpp>

#include <cstdint>

namespace faultline {
inline namespace v0 {

/// What one region has counted since it was reserved, and the state of its pages.
struct RegionStats {
    // Faults, by what they needed.
    std::uint64_t first_touches = 0;  ///< First accesses to pages, which begin as zeros.
    std::uint64_t hard_faults = 0;    ///< Faults that read the store.
    std::uint64_t soft_faults = 0;    ///< Faults without I/O: on a staged page, or on a page whose frame a clone gives.
    std::uint64_t write_faults = 0;   ///< First writes to a clean resident page.
    std::uint64_t failed_faults = 0;  ///< Faults answered with SIGBUS: a read failed, or nothing could be evicted.

    // Traffic.
    std::uint64_t evictions = 0;         ///< Pages whose frame was freed.
    std::uint64_t clean_evictions = 0;   ///< Evictions without I/O: the page was clean, or all zeros.
    std::uint64_t pages_read_ahead = 0;  ///< Pages read in addition to the faulting one.
    std::uint64_t bytes_read = 0;        ///< Bytes read from the store.
    std::uint64_t bytes_written = 0;     ///< Bytes written to the store.
    std::uint64_t read_errors = 0;       ///< Reads from the store that failed after all retries.
    std::uint64_t write_errors = 0;      ///< Pages that the store did not accept. Each stayed in memory.

    // State now, in bytes.
    std::uint64_t resident_bytes = 0;  ///< Mapped for the program.
    std::uint64_t dirty_bytes = 0;     ///< Resident or staged, and perhaps newer than the store's copy.
    std::uint64_t staged_bytes = 0;    ///< Unmapped, frame still held.
    std::uint64_t swapped_bytes = 0;   ///< In the store only.
    std::uint64_t pinned_bytes = 0;    ///< Under at least one `Pin`.

    /// Adds each figure of `other` to its counterpart here.
    FAULTLINE_API RegionStats& operator+=(const RegionStats& other) noexcept;
};

/// The sums over all regions of a pager, destroyed ones included, and the pager's own figures.
struct PagerStats : RegionStats {
    std::uint64_t resident_limit = 0;    ///< The limit of frames now, in bytes.
    std::uint64_t frames_used = 0;       ///< Bytes resident, staged or being filled. At most `resident_limit`, but for
                                         ///< moments after `resident_limit` has fallen.
    std::uint64_t frames_peak = 0;       ///< The maximum of `frames_used` so far, in bytes.
    std::uint64_t compressed_used = 0;   ///< Bytes of memory that compressed pages take. At most `compressed_limit`.
    std::uint64_t compressed_limit = 0;  ///< Limit of memory for compressed pages now, in bytes.
    std::uint64_t records_used = 0;      ///< Bytes that the pager's records of pages and its buffers take.
    std::uint64_t memory_limit = 0;      ///< Limit of frames, compressed pages and records together, in bytes; 0: none.
    std::uint64_t direct_reclaims = 0;   ///< How often a faulting thread had to evict, because no frame was free.

    // Nanoseconds from a fault's arrival at the pager to its answer. Under `uffd_threads` they exclude the two
    // wake-ups before and after: bench/fault_latency measures those from outside.
    LatencyHistogram first_touch_latency;  ///< Nanoseconds of first touches.
    LatencyHistogram hard_latency;         ///< Nanoseconds of hard faults.
    LatencyHistogram soft_latency;         ///< Nanoseconds of soft faults.
    LatencyHistogram write_latency;        ///< Nanoseconds of write faults.
};

/// How many bytes of one part of a region are in which state. For residency maps.
struct ResidencyCell {
    std::uint64_t untouched = 0;  ///< Never touched, or discarded: reads as zeros.
    std::uint64_t resident = 0;   ///< Mapped for the program.
    std::uint64_t dirty = 0;      ///< The resident bytes that are newer than the store's copy.
    std::uint64_t staged = 0;     ///< Unmapped, frame still held.
    std::uint64_t swapped = 0;    ///< In the store only.

    /// Adds each figure of `other` to its counterpart here.
    ResidencyCell& operator+=(const ResidencyCell& other) noexcept {
        untouched += other.untouched;
        resident += other.resident;
        dirty += other.dirty;
        staged += other.staged;
        swapped += other.swapped;
        return *this;
    }
};

}  // namespace v0
}  // namespace faultline
