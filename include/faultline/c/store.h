/// @file
/// A store of the program's own, as a table of functions: faultline::Store, whose rules hold here, too. Part of
/// faultline.h.
#ifndef FAULTLINE_C_STORE_H
#define FAULTLINE_C_STORE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Flag of faultline_store: `read` and `write` are async-signal-safe, so faulting threads call them.
#define FAULTLINE_STORE_SIGNAL_SAFE 1U

/// The functions of a store. Those that return int return 0 or an errno. A member that may be NULL says so.
typedef struct faultline_store {
    size_t size;           ///< sizeof(faultline_store).
    void* context;         ///< Passed to each function. Not read otherwise.
    uint64_t bytes;        ///< The size of the store in bytes, at least 16 MiB.
    unsigned concurrency;  ///< The number of threads that call, 1 to 64. 0: 4.
    unsigned flags;        ///< FAULTLINE_STORE_... flags, combined with `|`.

    /// Fills `into` with `bytes` bytes at `offset`.
    int (*read)(void* context, uint64_t offset, void* into, size_t bytes);
    /// Stores `bytes` bytes of `from` at `offset`.
    int (*write)(void* context, uint64_t offset, const void* from, size_t bytes);
    /// Tells that the bytes of a range are not needed any more. May be NULL.
    void (*discard)(void* context, uint64_t offset, uint64_t bytes);
    /// Called when no pager uses the store any more. May be NULL.
    void (*destroy)(void* context);
} faultline_store;

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // FAULTLINE_C_STORE_H
