/// @file
/// Stacks for C: stacks in managed memory, whose overflow the program survives. Part of faultline.h, which has the
/// rules for errors, structs, ownership and threads; guarded_stack.hpp describes more.
#ifndef FAULTLINE_C_STACK_H
#define FAULTLINE_C_STACK_H

#include <faultline/c/pager.h>
#include <faultline/c/stats.h>
#include <faultline/export.hpp>

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/// A stack: faultline::GuardedStack.
typedef struct faultline_stack faultline_stack;
/// A pool of stacks: faultline::StackPool.
typedef struct faultline_stack_pool faultline_stack_pool;
/// A thread's signal stack: faultline::AlternateStack.
typedef struct faultline_alternate_stack faultline_alternate_stack;

/// The options of a pool of stacks; faultline::StackPoolOptions in guarded_stack.hpp describes each.
typedef struct faultline_stack_pool_options {
    size_t size;          ///< sizeof(faultline_stack_pool_options).
    size_t stack_bytes;   ///< The size in bytes that each stack can grow to. 0: 64 KiB.
    size_t stacks;        ///< Maximum number of stacks at a time. 0: 1024.
    size_t guard_bytes;   ///< Size in bytes of the inaccessible guard below each stack. 0: 4 KiB.
    size_t pinned_bytes;  ///< Bytes at the top that `faultline_stack_run` pins while it runs. 0: 4 KiB.
} faultline_stack_pool_options;

/// Describes an access beyond the end of a stack. This struct will not grow.
typedef struct faultline_stack_overflow {
    void* stack;          ///< The lowest usable byte of the stack.
    size_t stack_bytes;   ///< The usable size of the stack, in bytes.
    size_t depth;         ///< Bytes from the stack's top down to `address`: more than `stack_bytes`.
    const void* address;  ///< The address accessed, in the guard.
} faultline_stack_overflow;

/// Makes a stack of `bytes` bytes with a region of its own. EINVAL, and the errors of faultline_region_create.
FAULTLINE_API faultline_stack* faultline_stack_create(faultline_pager* pager, size_t bytes);
/// Takes a stack from a pool. ENOMEM (all are taken, or vm.max_map_count), EINVAL.
FAULTLINE_API faultline_stack* faultline_stack_pool_take(faultline_stack_pool* pool);

/// Gives a stack of either kind back. No code may be running on it.
FAULTLINE_API void faultline_stack_destroy(faultline_stack* stack);

/// Calls `function(argument)` on the stack. Returns 0 when the function returns.
///
/// Returns 1 if the function overflowed the stack. It is then abandoned where it was: its locks stay locked, and data
/// that it was changing stays half changed. `overflow`, if not NULL, receives the details. Returns -1 if the function
/// was not called; errno is EBUSY (other code runs on the stack) or ENOMEM (no room for the pin, or for an alternate
/// stack).
///
/// `function` must end on the thread that called, and not by pthread_exit. A C++ exception that leaves it ends the
/// program. The rules for code on such a stack are at the head of guarded_stack.hpp.
FAULTLINE_API int faultline_stack_run(faultline_stack* stack, void (*function)(void* argument), void* argument,
                                      faultline_stack_overflow* overflow);

/// Frees the memory of the stack's unused pages. EBUSY: another thread runs on it.
FAULTLINE_API int faultline_stack_trim(faultline_stack* stack);

/// Frees the memory of the calling stack's unused pages. Returns 1, or 0 if the caller is not on a managed stack, or -1
/// and errno.
FAULTLINE_API int faultline_trim_current_stack(void);

/// Returns the lowest usable byte of the stack. If `bytes` is not NULL, it receives the usable size.
FAULTLINE_API void* faultline_stack_memory(const faultline_stack* stack, size_t* bytes);

/// Returns 1 if `address` lies in the guard of a stack, and fills in `overflow`; else 0. Sets no message. Signal-safe,
/// for SIGSEGV handlers; not for code on a managed stack.
FAULTLINE_API int faultline_stack_overflow_at(const void* address, faultline_stack_overflow* overflow);

/// Reserves addresses for many stacks of one size. EINVAL, and the errors of faultline_region_create.
FAULTLINE_API faultline_stack_pool* faultline_stack_pool_create(faultline_pager* pager,
                                                                const faultline_stack_pool_options* options);

/// Gives up the handle. The pool lives on while stacks of it are taken.
FAULTLINE_API void faultline_stack_pool_destroy(faultline_stack_pool* pool);

/// Takes a stack for code that switches stacks itself, for example with makecontext. Returns its lowest byte. If
/// `bytes` is not NULL, it receives the size. Keep the pool until the stack is given back. Under deliveries by signal,
/// each thread that runs on it needs a faultline_alternate_stack. ENOMEM.
FAULTLINE_API void* faultline_stack_pool_take_memory(faultline_stack_pool* pool, size_t* bytes);
/// Gives back a stack from faultline_stack_pool_take_memory.
FAULTLINE_API void faultline_stack_pool_give_back(faultline_stack_pool* pool, void* memory);

/// Frees the memory of a suspended stack of the pool below `stack_pointer`, its saved stack pointer.
FAULTLINE_API int faultline_stack_pool_trim(faultline_stack_pool* pool, const void* stack_pointer);

/// Returns the number of stacks taken now; 0 for NULL.
FAULTLINE_API size_t faultline_stack_pool_taken(const faultline_stack_pool* pool);
/// Returns the maximum number of stacks at a time; 0 for NULL.
FAULTLINE_API size_t faultline_stack_pool_capacity(const faultline_stack_pool* pool);
/// Stores what the pager has counted of the pool's pages in `stats`.
FAULTLINE_API int faultline_stack_pool_get_stats(const faultline_stack_pool* pool, faultline_stats* stats);

/// Gives the calling thread a signal stack of 64 KiB, unless it has one of that size. ENOMEM.
FAULTLINE_API faultline_alternate_stack* faultline_alternate_stack_create(void);
/// Restores the thread's previous signal stack. Call it on the thread that made the stack.
FAULTLINE_API void faultline_alternate_stack_destroy(faultline_alternate_stack* stack);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // FAULTLINE_C_STACK_H
