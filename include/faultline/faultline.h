/// @file
/// faultline's interface for C (C99 and newer), and for languages that call C. It has opaque handles for the classes of
/// the C++ headers, which describe each class in more detail. Programs include this header, which includes those in
/// faultline/c, one for each topic. It has no functions for address spaces yet.
///
///     faultline_config config = {.size = sizeof config, .resident_limit = (size_t)64 << 20};
///     faultline_pager* pager = faultline_pager_create(&config);
///     if (pager == NULL) fprintf(stderr, "%s\n", faultline_error_message());
///
/// These rules hold for all functions, unless a function says otherwise:
///
/// - Errors: a function returns -1, or NULL if it returns a pointer, and sets errno. `faultline_error_message` returns
///   a text that names the function. EINVAL also means that a handle is NULL, or that a range or number is out of
///   bounds. ENOMEM also means that the library cannot allocate memory for itself. After a success errno is
///   unspecified. No C++ exception leaves a function.
/// - Units: sizes are in bytes, times in nanoseconds.
/// - Structs: a struct that may grow begins with `size`, which the caller sets to sizeof the struct. If it is smaller
///   than the library's struct, because the header is older, the library reads and writes only the fields it has.
///   EINVAL: `size` is smaller than in the first version, for example 0. E2BIG: a field is set that this library does
///   not know. In structs that are passed in, 0 and NULL mean the default. A pointer to such a struct may be NULL.
/// - Ownership: the caller owns what a `create`, `take` or `pin` function returns, until it calls the function that
///   undoes it. Those functions accept NULL and do nothing then. A pager may be destroyed before the objects made from
///   it. A region or heap cannot be destroyed while a pin of it lives (EBUSY). A block must not outlive its heap.
/// - Threads: every function is safe on any thread. A handle must not be destroyed while another call uses it, nor used
///   afterwards. A thread must not be cancelled (pthread_cancel) inside a call.
/// - Signals: the functions are not for signal handlers. Loads and stores to managed memory are allowed there, as
///   region.hpp says.
/// - fork: as for the C++ handles, calls in a child fail with EPERM unless `fork_policy` is FAULTLINE_FORK_INHERIT.
///   Allocating from a heap does not fail there, but the program cannot access the blocks.
#ifndef FAULTLINE_FAULTLINE_H
#define FAULTLINE_FAULTLINE_H

#include <faultline/c/constants.h>
#include <faultline/c/heap.h>
#include <faultline/c/io.h>
#include <faultline/c/pager.h>
#include <faultline/c/pin.h>
#include <faultline/c/policy.h>
#include <faultline/c/region.h>
#include <faultline/c/stack.h>
#include <faultline/c/stats.h>
#include <faultline/c/store.h>
#include <faultline/export.hpp>   // for C, too
#include <faultline/version.hpp>  // likewise

#ifdef __cplusplus
extern "C" {
#endif

/// The version of the interface that this header describes. A program works with every library, older or newer, whose
/// `faultline_abi_version()` returns the same number. Within one version only functions, constants and fields at the
/// end of sized structs are added.
#define FAULTLINE_ABI_VERSION 1

/// Returns the FAULTLINE_ABI_VERSION of the loaded library. Signal-safe.
FAULTLINE_API unsigned faultline_abi_version(void);

/// Returns the version of the loaded library, such as "0.1.0". Signal-safe.
FAULTLINE_API const char* faultline_version(void);

/// Returns why this thread's last call failed: the function, what failed, on which object, what to do, and the text of
/// errno at the end. One line; "" if that call succeeded; never NULL. Valid until the thread's next call. Functions
/// that cannot fail, or set no message (a heap's allocating functions, io, and those that say so), leave it unchanged.
///
///     faultline_heap_create: pager is NULL (did faultline_pager_create fail?): Invalid argument
FAULTLINE_API const char* faultline_error_message(void);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // FAULTLINE_FAULTLINE_H
