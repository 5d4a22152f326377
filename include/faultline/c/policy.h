/// @file
/// A replacement policy of the program's own, as a table of functions: faultline::ReplacementPolicy, whose rules hold
/// here, too. Every function but `create` and `destroy` must be async-signal-safe. Part of faultline.h.
#ifndef FAULTLINE_C_POLICY_H
#define FAULTLINE_C_POLICY_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// How a page came to be mapped; see faultline::Arrival.
enum faultline_arrival_kind {
    FAULTLINE_ARRIVAL_FIRST_TOUCH = 0,  ///< The page had no contents before.
    FAULTLINE_ARRIVAL_READ_AHEAD,       ///< Prefetched together with another page.
    FAULTLINE_ARRIVAL_HARD_FAULT,       ///< Read from the store.
    FAULTLINE_ARRIVAL_SOFT_FAULT        ///< Taken back from staging.
};

/// A page that was mapped; see faultline::Arrival.
typedef struct faultline_arrival {
    int kind;                ///< A faultline_arrival_kind.
    uint32_t evictions_ago;  ///< For hard faults: evictions since the page was evicted.
    uint32_t tag;            ///< For hard faults: the tag of the page's eviction.
} faultline_arrival;

/// The choice of the page to evict; see faultline::Victim.
typedef struct faultline_victim {
    uint32_t frame;  ///< 0: none.
    uint32_t tag;    ///< 0 to 31.
} faultline_victim;

/// What a policy needs to know when it is made; see faultline::PolicySetup.
typedef struct faultline_policy_setup {
    size_t size;               ///< sizeof(faultline_policy_setup) of the library.
    size_t capacity;           ///< The largest frame that will ever be named.
    size_t frames;             ///< The limit of resident memory now, in frames of 4 KiB.
    unsigned staging_percent;  ///< faultline_config::staging_percent.
} faultline_policy_setup;

/// The functions of a policy. A member that may be NULL says so.
typedef struct faultline_policy {
    size_t size;    ///< sizeof(faultline_policy).
    void* context;  ///< Passed to `create`. Not read otherwise.

    /// Makes a policy for one pager, and returns a pointer for the other functions. NULL: failed; errno says why.
    void* (*create)(void* context, const faultline_policy_setup* setup);
    /// Frees the policy. May be NULL.
    void (*destroy)(void* policy);
    /// Adds `frame`, in which a page was mapped.
    void (*mapped)(void* policy, uint32_t frame, const faultline_arrival* arrival);
    /// Removes and returns the frame to evict next.
    faultline_victim (*victim)(void* policy);
    /// Adds a victim again, which cannot be evicted now.
    void (*put_back)(void* policy, uint32_t frame);
    /// Removes `frame`.
    void (*removed)(void* policy, uint32_t frame);
    /// Notes that the page in `frame` is in use. May be NULL.
    void (*referenced)(void* policy, uint32_t frame);
    /// Notes that the program will not need the page in `frame` soon. May be NULL.
    void (*demote)(void* policy, uint32_t frame);
    /// Returns how many of `frames` frames to keep staged. May be NULL: 0.
    size_t (*staging_target)(void* policy, size_t frames);
    /// Sets the limit of resident memory, in frames. May be NULL.
    void (*resized)(void* policy, size_t frames);
    /// The bytes of memory that the policy takes for each frame in use, for faultline_config::memory_limit.
    size_t bytes_per_frame;
} faultline_policy;

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // FAULTLINE_C_POLICY_H
