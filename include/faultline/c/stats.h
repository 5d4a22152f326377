/// @file
/// The structs of the C interface that report figures: counters, durations, residency. Part of faultline.h.
#ifndef FAULTLINE_C_STATS_H
#define FAULTLINE_C_STATS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// What the pager has counted of a region, a heap, a pool of stacks, or of all regions: faultline::RegionStats in
/// stats.hpp.
typedef struct faultline_stats {
    size_t size;  ///< sizeof(faultline_stats).

    // Faults, by what they needed.
    uint64_t first_touches;  ///< First accesses to pages, which begin as zeros.
    uint64_t hard_faults;    ///< Faults that read the store.
    uint64_t soft_faults;    ///< Faults without I/O: the page was staged.
    uint64_t write_faults;   ///< First writes to a clean resident page.
    uint64_t failed_faults;  ///< Faults answered with SIGBUS.

    // Traffic.
    uint64_t evictions;         ///< Pages whose frame was freed.
    uint64_t clean_evictions;   ///< Evictions without I/O.
    uint64_t pages_read_ahead;  ///< Pages read in addition to the faulting one.
    uint64_t bytes_read;        ///< Bytes read from the store.
    uint64_t bytes_written;     ///< Bytes written to the store.
    uint64_t read_errors;       ///< Reads from the store that failed after all retries.
    uint64_t write_errors;      ///< Pages that the store did not accept.

    // State now, in bytes.
    uint64_t resident_bytes;  ///< Mapped for the program.
    uint64_t dirty_bytes;     ///< Resident or staged, and perhaps newer than the store's copy.
    uint64_t staged_bytes;    ///< Unmapped, frame still held.
    uint64_t swapped_bytes;   ///< In the store only.
    uint64_t pinned_bytes;    ///< Under at least one pin.
} faultline_stats;

/// Durations of one kind of faults, from their arrival at the pager to their answer, in nanoseconds, exact to 6%.
typedef struct faultline_latency {
    uint64_t count;  ///< Number of faults.
    uint64_t p50;    ///< The median.
    uint64_t p90;    ///< The duration that 90% do not exceed.
    uint64_t p99;    ///< The duration that 99% do not exceed.
    uint64_t p999;   ///< The duration that 99.9% do not exceed.
} faultline_latency;

/// The pager's own figures: faultline::PagerStats in stats.hpp.
typedef struct faultline_pager_stats {
    size_t size;                            ///< sizeof(faultline_pager_stats).
    uint64_t resident_limit;                ///< The limit, in bytes.
    uint64_t frames_used;                   ///< Bytes resident, staged or being filled; never above `resident_limit`.
    uint64_t frames_peak;                   ///< The maximum of `frames_used` so far, in bytes.
    uint64_t compressed_used;               ///< Bytes of memory that compressed pages take.
    uint64_t direct_reclaims;               ///< How often a faulting thread had to evict, because no frame was free.
    faultline_latency first_touch_latency;  ///< Durations of first touches.
    faultline_latency hard_latency;         ///< Durations of hard faults.
    faultline_latency soft_latency;         ///< Durations of soft faults.
    faultline_latency write_latency;        ///< Durations of write faults.
    uint64_t compressed_limit;              ///< Limit of memory for compressed pages now, in bytes.
    uint64_t records_used;                  ///< Bytes that the pager's records of pages and its buffers take.
    uint64_t memory_limit;                  ///< Limit of frames, compressed pages and records together; 0: none.
} faultline_pager_stats;

/// How many bytes of one part of a region are in which state. This struct will not grow.
typedef struct faultline_residency {
    uint64_t untouched;  ///< Never touched, or discarded: reads as zeros.
    uint64_t resident;   ///< Mapped for the program.
    uint64_t dirty;      ///< The resident bytes that are newer than the store's copy.
    uint64_t staged;     ///< Unmapped, frame still held.
    uint64_t swapped;    ///< In the store only.
} faultline_residency;

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // FAULTLINE_C_STATS_H
