/// @file
/// A pager for C: answers the page faults of its regions within one limit of resident memory. Part of faultline.h,
/// which has the rules for errors, structs, ownership and threads; pager.hpp and config.hpp describe more.
#ifndef FAULTLINE_C_PAGER_H
#define FAULTLINE_C_PAGER_H

#include <faultline/c/constants.h>
#include <faultline/c/policy.h>
#include <faultline/c/stats.h>
#include <faultline/c/store.h>
#include <faultline/export.hpp>

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/// A pager: faultline::Pager.
typedef struct faultline_pager faultline_pager;

/// Flag of faultline_config: no background thread evicts; the faulting threads evict.
#define FAULTLINE_NO_BACKGROUND_EVICTOR 1U
/// Flag of faultline_config: no pages are read ahead.
#define FAULTLINE_NO_READ_AHEAD 2U

/// The options of a pager; faultline::Config in config.hpp describes each. 0 and NULL mean the default.
typedef struct faultline_config {
    size_t size;                 ///< sizeof(faultline_config).
    size_t resident_limit;       ///< Limit in bytes of the memory of all regions together. 0: 256 MiB.
    size_t compressed_limit;     ///< Limit in bytes of additional memory for compressed pages. 0: no compression.
    const char* swap_directory;  ///< Directory of the unnamed swap file. NULL: $TMPDIR, else /var/tmp.
    const char* swap_file;       ///< Path of the swap file, which must not exist. Overrides `swap_directory`.
    const char* trace_file;      ///< Path of a file that records the faults. NULL: no recording.
    int delivery;                ///< A faultline_delivery.
    int eviction;                ///< A faultline_eviction.
    int replacement;             ///< A faultline_replacement.
    int fork_policy;             ///< A faultline_fork_policy.
    unsigned handler_threads;    ///< Threads of FAULTLINE_DELIVERY_UFFD_THREADS. 0: one for each CPU.
    unsigned staging_percent;    ///< Percentage of the limit, 0 to 50, for staged pages. 0: none.
    unsigned flags;              ///< FAULTLINE_NO_... flags, combined with `|`.
    int full_disk_patience;      ///< Milliseconds that a fault waits for space on a full disk. 0: 2000; < 0: none.

    /// Receives messages (one line, without newline) instead of standard error. `context` is `log_context`; `level` is
    /// a faultline_log_level. Called from the pager's own threads and from set-up calls. It must not touch managed
    /// memory, and must return.
    void (*log)(void* context, int level, const char* message);
    void* log_context;  ///< Passed to `log`. Not read otherwise.

    /// Limit in bytes of frames, compressed pages and the pager's records together. 0: none; the two limits above hold.
    /// Else `compressed_limit` must be 0.
    size_t memory_limit;

    /// A replacement policy of the program's own; the library copies the table. NULL: `replacement`.
    const faultline_policy* policy;
    /// A store of the program's own in place of a swap file; the library copies the table. NULL: a swap file.
    const faultline_store* store;
    /// Path of a file to which samples of the stacks that fault are appended. NULL: none.
    const char* stack_samples_file;
} faultline_config;

/// Makes a pager. `config` NULL: all defaults. EINVAL (limit too small, or an invalid constant), ENOENT EACCES ENOTDIR
/// ENOSPC (swap directory), EEXIST (swap file), EPERM ENOSYS (the delivery is not allowed, or not in this kernel).
FAULTLINE_API faultline_pager* faultline_pager_create(const faultline_config* config);

/// Gives up the handle. The pager lives on while regions, heaps or stacks use it.
FAULTLINE_API void faultline_pager_destroy(faultline_pager* pager);

/// Changes the limit, in bytes. When it shrinks, the call blocks until at most `bytes` are resident. A limit above the
/// machine's memory is lowered to that, with a warning. EINVAL (too small), EBUSY (pins hold more), ENOSPC EIO (the
/// pages to evict cannot be written; the limit stays).
FAULTLINE_API int faultline_pager_set_resident_limit(faultline_pager* pager, size_t bytes);

/// Returns the limit in bytes; 0 for NULL.
FAULTLINE_API size_t faultline_pager_resident_limit(const faultline_pager* pager);

/// Changes the limit of all memory, in bytes, of a pager that was made with one. Errors are those of
/// faultline_pager_set_resident_limit; EINVAL also means that the pager has no memory limit.
FAULTLINE_API int faultline_pager_set_memory_limit(faultline_pager* pager, size_t bytes);

/// Returns the limit of all memory in bytes; 0 for NULL, and for a pager without one.
FAULTLINE_API size_t faultline_pager_memory_limit(const faultline_pager* pager);

/// Returns how faults arrive: a faultline_delivery, never FAULTLINE_DELIVERY_AUTOMATIC.
FAULTLINE_API int faultline_pager_delivery(const faultline_pager* pager);
/// Returns how pages are evicted: a faultline_eviction, never FAULTLINE_EVICTION_AUTOMATIC.
FAULTLINE_API int faultline_pager_eviction(const faultline_pager* pager);

/// Stores the sums over all regions of the pager, destroyed ones included, in `sums`, and the pager's own figures in
/// `own`. Either may be NULL. Each figure is as it was at some moment of the call.
FAULTLINE_API int faultline_pager_get_stats(const faultline_pager* pager, faultline_stats* sums,
                                            faultline_pager_stats* own);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // FAULTLINE_C_PAGER_H
