// faultline's interface for C (C99 and newer), and for whatever calls C. Opaque handles over what the C++ headers
// declare, which also say more about each thing: pager.hpp, region.hpp, heap.hpp, guarded_stack.hpp, io.hpp. Address
// spaces have no interface for C yet.
//
//     faultline_config config = {.size = sizeof config, .resident_limit = (size_t)64 << 20};
//     faultline_pager* pager = faultline_pager_create(&config);
//     if (pager == NULL) fprintf(stderr, "%s\n", faultline_error_message());
//
// Everywhere in this header, unless a function says otherwise:
//
//   Errors      -1, or NULL where a pointer is returned, and errno; `faultline_error_message` says more. EINVAL: a
//               handle that is NULL, a range or a figure out of bounds. ENOMEM: no memory for the library itself, too.
//               After a success errno is unspecified. No C++ exception leaves a function.
//   Units       Sizes are in bytes, times in nanoseconds.
//   Structs     Those with a `size` begin with it, and the caller sets it to sizeof the struct, so that they can grow:
//               of a smaller one, from an older header, the library reads and writes what is there. EINVAL: smaller
//               than it ever was, as when `size` was forgotten. E2BIG: it has a field set that this library does not
//               know. In structs that are passed in, 0 and NULL mean the default; a pointer to one may be NULL, too.
//   Ownership   What a `create`, `take` or `pin` returns is the caller's until the function that undoes it. These take
//               NULL and do nothing. A pager may be destroyed before what was made of it; a pin and a block may not
//               outlive their region or heap.
//   Threads     Safe on any thread, except that a handle must not be destroyed while another call has it, nor used
//               after that. A thread must not be cancelled (pthread_cancel) inside of a call.
//   Signals     Not for signal handlers. Plain loads and stores to managed memory are, as region.hpp says.
//   fork        As for the C++ handles: a child has nothing of a pager and its calls say EPERM, unless `fork_policy` is
//               FAULTLINE_FORK_INHERIT. (Allocating from a heap says nothing there, but its blocks cannot be touched.)
#ifndef FAULTLINE_FAULTLINE_H
#define FAULTLINE_FAULTLINE_H

#include <faultline/export.hpp>   // for C, too
#include <faultline/version.hpp>  // likewise

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct iovec;  // <sys/uio.h>

// ---- The library

/// Which interface this header describes. A program works with every library whose `faultline_abi_version()` says the
/// same number, older or newer: within one only functions, fields at the end of sized structs, and constants are added.
#define FAULTLINE_ABI_VERSION 1

/// FAULTLINE_ABI_VERSION of the library that is loaded. Signal-safe.
FAULTLINE_API unsigned faultline_abi_version(void);

/// The version of the library that is loaded, "0.1.0". Signal-safe.
FAULTLINE_API const char* faultline_version(void);

/// What the last call of this thread that failed has to say: which object, and the way out; the text of errno is at its
/// end. One line, "" before the first failure, never NULL. Valid until the thread's next call that fails. The
/// allocating functions of a heap, io, and what is said to set no message leave it alone.
FAULTLINE_API const char* faultline_error_message(void);

// ---- Words

/// How a page fault reaches the pager; see faultline::Delivery.
enum faultline_delivery {
    FAULTLINE_DELIVERY_AUTOMATIC = 0,  ///< The first of these that works here; $FAULTLINE_DELIVERY overrides.
    FAULTLINE_DELIVERY_UFFD_THREADS,   ///< Handler threads; system calls on absent pages work. Needs a privilege.
    FAULTLINE_DELIVERY_UFFD_SIGNAL,    ///< userfaultfd and SIGBUS; system calls on absent pages say EFAULT.
    FAULTLINE_DELIVERY_SIGSEGV         ///< Protection and SIGSEGV; likewise. Never refused.
};

/// How pages leave the program's view; see faultline::Eviction.
enum faultline_eviction {
    FAULTLINE_EVICTION_AUTOMATIC = 0,
    FAULTLINE_EVICTION_MOVE,
    FAULTLINE_EVICTION_COPY,
    FAULTLINE_EVICTION_PROTECT,
    FAULTLINE_EVICTION_GUARD
};

/// Which pages leave; see faultline::Replacement.
enum faultline_replacement { FAULTLINE_REPLACEMENT_SECOND_CHANCE = 0, FAULTLINE_REPLACEMENT_FIFO };

/// What a child of fork has of a pager; see faultline::ForkPolicy.
enum faultline_fork_policy { FAULTLINE_FORK_REFUSE = 0, FAULTLINE_FORK_INHERIT };

/// What the program may do with a range; see faultline::Access.
enum faultline_access {
    FAULTLINE_ACCESS_READ_WRITE = 0,
    FAULTLINE_ACCESS_READ,
    FAULTLINE_ACCESS_NONE,
    FAULTLINE_ACCESS_READ_EXECUTE
};

/// What a pin makes pages ready for.
enum faultline_pin_for { FAULTLINE_PIN_FOR_READING = 0, FAULTLINE_PIN_FOR_WRITING };

/// What the program knows and the pager does not; see faultline::Advice.
enum faultline_advice {
    FAULTLINE_ADVICE_NORMAL = 0,  ///< Gone through in whatever way.
    FAULTLINE_ADVICE_SEQUENTIAL,  ///< In order.
    FAULTLINE_ADVICE_RANDOM,      ///< In no order.
    FAULTLINE_ADVICE_WILLNEED,    ///< Needed soon: it is read in the background.
    FAULTLINE_ADVICE_DONTNEED,    ///< Not needed for a while: it is evicted now, and its contents are kept.
    FAULTLINE_ADVICE_COLD         ///< Not needed soon: it leaves before others.
};

/// Severity of a message.
enum faultline_log_level { FAULTLINE_LOG_DEBUG = 0, FAULTLINE_LOG_INFO, FAULTLINE_LOG_WARNING, FAULTLINE_LOG_ERROR };

/// "uffd_signal" for FAULTLINE_DELIVERY_UFFD_SIGNAL, "move" for FAULTLINE_EVICTION_MOVE; "unknown" for what is none.
/// Never NULL. Signal-safe.
FAULTLINE_API const char* faultline_delivery_name(int delivery);
FAULTLINE_API const char* faultline_eviction_name(int eviction);

// ---- Pager: answers the page faults of its regions within one limit of resident memory

typedef struct faultline_pager faultline_pager;
typedef struct faultline_region faultline_region;
typedef struct faultline_pin faultline_pin;

/// For `flags` of faultline_config: no thread evicts ahead of the faults; nothing is read ahead of a walk.
#define FAULTLINE_NO_BACKGROUND_EVICTOR 1U
#define FAULTLINE_NO_READ_AHEAD 2U

/// All that has a say in how a pager works; faultline::Config in config.hpp describes each. 0 and NULL: its default.
typedef struct faultline_config {
    size_t size;                 ///< sizeof(faultline_config).
    size_t resident_limit;       ///< Bytes of memory for all regions together. 0: 256 MiB.
    size_t compressed_limit;     ///< Bytes of memory besides, for compressed pages. 0: none.
    const char* swap_directory;  ///< Of the unnamed swap file. NULL: $TMPDIR, else /var/tmp.
    const char* swap_file;       ///< Swap to this file, which must not exist, instead.
    const char* trace_file;      ///< Record the faults to this file. NULL: nothing is recorded.
    int delivery;                ///< A faultline_delivery.
    int eviction;                ///< A faultline_eviction.
    int replacement;             ///< A faultline_replacement.
    int fork_policy;             ///< A faultline_fork_policy.
    unsigned handler_threads;    ///< Of FAULTLINE_DELIVERY_UFFD_THREADS. 0: one for each CPU.
    unsigned staging_percent;    ///< Of the limit, at most 50, for pages that may be wanted back at once. 0: none.
    unsigned flags;              ///< FAULTLINE_NO_... above, or'ed.
    int full_disk_patience;      ///< Milliseconds that a fault waits for room on a full disk. 0: 2000; < 0: none.

    /// Receives messages (one line, no newline) instead of standard error. `level` is a faultline_log_level. Called
    /// from the pager's own threads and from calls that set up; must not touch managed memory, and must return.
    void (*log)(void* context, int level, const char* message);
    void* log_context;
} faultline_config;

/// A pager; `config` NULL: all defaults. EINVAL (limit too small, a constant that is none), ENOENT EACCES ENOTDIR
/// ENOSPC (swap directory), EEXIST (swap file), EPERM ENOSYS (delivery not allowed, or not in this kernel).
FAULTLINE_API faultline_pager* faultline_pager_create(const faultline_config* config);

/// Ends the caller's use of it. It lives on while regions, heaps or stacks need it.
FAULTLINE_API void faultline_pager_destroy(faultline_pager* pager);

/// Changes the limit; when it shrinks, returns once no more is resident. EINVAL (too small, or more than the machine
/// has), EBUSY (pins hold more), ENOSPC EIO (what has to leave cannot; the limit then stays).
FAULTLINE_API int faultline_pager_set_resident_limit(faultline_pager* pager, size_t bytes);

/// The limit; 0 for NULL.
FAULTLINE_API size_t faultline_pager_resident_limit(const faultline_pager* pager);

/// How faults arrive and how pages leave: a faultline_delivery and a faultline_eviction, never automatic.
FAULTLINE_API int faultline_pager_delivery(const faultline_pager* pager);
FAULTLINE_API int faultline_pager_eviction(const faultline_pager* pager);

/// What has been counted of some memory: faultline::RegionStats in stats.hpp.
typedef struct faultline_stats {
    size_t size;  ///< sizeof(faultline_stats).

    // Faults, by what they needed.
    uint64_t first_touches;  ///< Pages that began as zeros.
    uint64_t hard_faults;    ///< Faults that read the store.
    uint64_t soft_faults;    ///< Faults without I/O: the page was only off the view.
    uint64_t write_faults;   ///< First writes to a clean resident page.
    uint64_t failed_faults;  ///< Answered with SIGBUS.

    // Traffic.
    uint64_t evictions;         ///< Pages that gave up their frame.
    uint64_t clean_evictions;   ///< Of those, the ones that cost no I/O.
    uint64_t pages_read_ahead;  ///< Pages that came in beside the faulting one.
    uint64_t bytes_read;        ///< From the store.
    uint64_t bytes_written;     ///< To the store.
    uint64_t read_errors;
    uint64_t write_errors;

    // State now, in bytes.
    uint64_t resident_bytes;
    uint64_t dirty_bytes;    ///< Newer than the store.
    uint64_t staged_bytes;   ///< Off the view, frame still held.
    uint64_t swapped_bytes;  ///< Only in the store.
    uint64_t pinned_bytes;
} faultline_stats;

/// Durations of faults, from their arrival at the pager to their answer, in nanoseconds, to within 6%.
typedef struct faultline_latency {
    uint64_t count;
    uint64_t p50;
    uint64_t p90;
    uint64_t p99;
    uint64_t p999;
} faultline_latency;

/// What only the pager knows: faultline::PagerStats in stats.hpp.
typedef struct faultline_pager_stats {
    size_t size;               ///< sizeof(faultline_pager_stats).
    uint64_t resident_limit;   ///< In bytes.
    uint64_t frames_used;      ///< In bytes, never above `resident_limit`.
    uint64_t frames_peak;      ///< In bytes: the most that `frames_used` has been.
    uint64_t compressed_used;  ///< In bytes.
    uint64_t direct_reclaims;  ///< Times a faulting thread had to evict for itself.
    faultline_latency first_touch_latency;
    faultline_latency hard_latency;
    faultline_latency soft_latency;
    faultline_latency write_latency;
} faultline_pager_stats;

/// Fills in the sums over all regions of the pager, gone ones included, and what only the pager knows. Either may be
/// NULL. Each figure is as it was at some moment of the call.
FAULTLINE_API int faultline_pager_get_stats(const faultline_pager* pager, faultline_stats* sums,
                                            faultline_pager_stats* own);

// ---- Region: one reserved range of addresses, paged by its pager

typedef struct faultline_region_options {
    size_t size;       ///< sizeof(faultline_region_options).
    size_t page_size;  ///< Bytes moved by one fault: a power of two from 4 KiB to 2 MiB. 0: 4 KiB.
} faultline_region_options;

/// Reserves `bytes`, rounded up to whole pages, that read as zeros and cost no memory until touched. EINVAL (no bytes,
/// page size), ENOMEM (no addresses left), EFBIG (swap space).
FAULTLINE_API faultline_region* faultline_region_create(faultline_pager* pager, size_t bytes,
                                                        const faultline_region_options* options);

/// Gives everything back. EBUSY while something of it is pinned: it stays then.
FAULTLINE_API int faultline_region_destroy(faultline_region* region);

/// The first byte; the bytes reserved; the bytes of one page. NULL and 0 for NULL.
FAULTLINE_API void* faultline_region_data(const faultline_region* region);
FAULTLINE_API size_t faultline_region_size(const faultline_region* region);
FAULTLINE_API size_t faultline_region_page_size(const faultline_region* region);

/// Keeps every page that the range touches resident until `faultline_unpin`: for system calls, O_DIRECT, devices.
/// `purpose`: a faultline_pin_for. EINVAL (outside the region), EACCES (its protection), ENOMEM (too much is pinned),
/// EIO ENOSPC (a page cannot come in).
FAULTLINE_API faultline_pin* faultline_region_pin(faultline_region* region, const void* address, size_t bytes,
                                                  int purpose);

/// Ends a pin, of a region or of a heap. Leaves errno alone.
FAULTLINE_API void faultline_unpin(faultline_pin* pin);

/// Says what the program knows of a range of any alignment: a faultline_advice.
FAULTLINE_API int faultline_region_advise(faultline_region* region, const void* address, size_t bytes, int advice);

/// Returns when what was said to be needed soon of the range is there, or has been given up.
FAULTLINE_API int faultline_region_wait_for_advised(faultline_region* region, const void* address, size_t bytes);

/// Forgets the contents of whole pages: they read as zeros, and take nothing. EBUSY: one is pinned; the others are
/// discarded.
FAULTLINE_API int faultline_region_discard(faultline_region* region, void* address, size_t bytes);

/// Sets what may be done with whole pages: a faultline_access. EBUSY (nothing, and one is pinned), ENOMEM (see
/// vm.max_map_count).
FAULTLINE_API int faultline_region_protect(faultline_region* region, void* address, size_t bytes, int access);

/// After a read error: lets the next access to the whole pages ask the store again.
FAULTLINE_API int faultline_region_retry(faultline_region* region, void* address, size_t bytes);

FAULTLINE_API int faultline_region_get_stats(const faultline_region* region, faultline_stats* stats);

/// A part of a region: how many bytes of it are in which state. Does not grow.
typedef struct faultline_residency {
    uint64_t untouched;
    uint64_t resident;
    uint64_t dirty;  ///< Of the resident ones.
    uint64_t staged;
    uint64_t swapped;
} faultline_residency;

/// Divides the region into `count` equal parts and describes each. Pages nothing in.
FAULTLINE_API int faultline_region_get_residency(const faultline_region* region, faultline_residency* parts,
                                                 size_t count);

// ---- Heap: a general-purpose allocator in managed memory

typedef struct faultline_heap faultline_heap;

/// For `dead_bytes_kept` of faultline_heap_config: none.
#define FAULTLINE_KEEP_NONE SIZE_MAX

/// faultline::HeapConfig in heap.hpp describes each.
typedef struct faultline_heap_config {
    size_t size;             ///< sizeof(faultline_heap_config).
    size_t reservation;      ///< Addresses for all blocks and the gaps between: 1 MiB to 8 TiB. 0: 64 GiB.
    size_t large_threshold;  ///< Larger blocks get pages of their own: 4 KiB to 1 MiB. 0: 128 KiB.
    size_t dead_bytes_kept;  ///< Pages without a block that may wait to be used again. 0: an eighth of the limit, at
                             ///< most 64 MiB.
} faultline_heap_config;

/// EINVAL, or as faultline_region_create.
FAULTLINE_API faultline_heap* faultline_heap_create(faultline_pager* pager, const faultline_heap_config* config);

/// Drops all blocks, without a look at any. EBUSY while one is pinned: the heap stays then.
FAULTLINE_API int faultline_heap_destroy(faultline_heap* heap);

/// Like malloc, calloc, realloc and aligned_alloc, of this heap; blocks are aligned to 16 bytes, and those of 0 bytes
/// are blocks, too: `faultline_heap_realloc` to 0 bytes does not free. An alignment is a power of two of at most 2 MiB,
/// and `bytes` need not be a multiple of it; a reallocated block is aligned to 16 bytes. ENOMEM (the reservation or the
/// store is full, or the product overflows), EINVAL (alignment, no heap). They set no message.
FAULTLINE_API void* faultline_heap_malloc(faultline_heap* heap, size_t bytes);
FAULTLINE_API void* faultline_heap_calloc(faultline_heap* heap, size_t count, size_t bytes);
FAULTLINE_API void* faultline_heap_realloc(faultline_heap* heap, void* block, size_t bytes);
FAULTLINE_API void* faultline_heap_aligned_alloc(faultline_heap* heap, size_t alignment, size_t bytes);

/// Gives a block back; NULL does nothing. Leaves errno alone. What is no live block of the heap ends the program with a
/// message, where the bookkeeping can tell.
FAULTLINE_API void faultline_heap_free(faultline_heap* heap, void* block);

/// How many bytes of a live block may be used: at least what was asked for. 0 for NULL.
FAULTLINE_API size_t faultline_heap_usable_size(const faultline_heap* heap, const void* block);

/// 1 if the address lies in the heap's reservation, else 0.
FAULTLINE_API int faultline_heap_owns(const faultline_heap* heap, const void* address);

/// Gives back all that is not in use. Returns how many bytes of dead pages that was.
FAULTLINE_API size_t faultline_heap_trim(faultline_heap* heap);

/// As with regions, of any part of the heap. A pinned block must not be freed or reallocated.
FAULTLINE_API faultline_pin* faultline_heap_pin(faultline_heap* heap, const void* address, size_t bytes, int purpose);
FAULTLINE_API int faultline_heap_advise(faultline_heap* heap, const void* address, size_t bytes, int advice);

/// faultline::HeapStats in heap.hpp. In bytes where nothing else is said.
typedef struct faultline_heap_stats {
    size_t size;                  ///< sizeof(faultline_heap_stats).
    uint64_t live_bytes;          ///< In blocks that the program has: usable sizes.
    uint64_t live_blocks;         ///< How many.
    uint64_t large_blocks;        ///< Of those, the ones with pages of their own.
    uint64_t large_bytes;         ///< What they take.
    uint64_t cached_bytes;        ///< In free blocks that threads keep.
    uint64_t free_in_spans;       ///< In free blocks between live ones: fragmentation inside.
    uint64_t free_outside_spans;  ///< In free pages.
    uint64_t reserved_to_grow;    ///< Addresses behind large blocks that have grown before.
    uint64_t dead_bytes;          ///< In pages without a live block that have not been given back yet.
    uint64_t break_bytes;         ///< From the begin of the reservation to the break.
    uint64_t mapping_bytes;       ///< From the lowest large block to the end of the reservation.
    uint64_t discarded_bytes;     ///< In dead pages that have been given back, since the beginning.
} faultline_heap_stats;

/// Fills in what the heap knows, and what the pager has counted of its memory. Either may be NULL.
FAULTLINE_API int faultline_heap_get_stats(const faultline_heap* heap, faultline_heap_stats* own,
                                           faultline_stats* paging);

/// Blocks of one size. Does not grow.
typedef struct faultline_size_class {
    uint64_t block_bytes;
    uint64_t spans;          ///< Runs of pages that are cut into such blocks.
    uint64_t live_blocks;    ///< That the program has.
    uint64_t cached_blocks;  ///< Free ones that threads keep.
    uint64_t free_blocks;    ///< Free ones in the spans.
} faultline_size_class;

/// Describes the first `capacity` sizes that have a span, smallest first, and returns how many there are. -1 and errno
/// on failure.
FAULTLINE_API ptrdiff_t faultline_heap_get_size_classes(const faultline_heap* heap, faultline_size_class* classes,
                                                        size_t capacity);

// ---- Stacks in managed memory, which survive being overflowed

typedef struct faultline_stack faultline_stack;
typedef struct faultline_stack_pool faultline_stack_pool;
typedef struct faultline_alternate_stack faultline_alternate_stack;

/// faultline::StackPoolOptions in guarded_stack.hpp describes each.
typedef struct faultline_stack_pool_options {
    size_t size;          ///< sizeof(faultline_stack_pool_options).
    size_t stack_bytes;   ///< Each stack can grow to this. 0: 64 KiB.
    size_t stacks;        ///< Most stacks at a time. 0: 1024.
    size_t guard_bytes;   ///< Below each stack, for nobody to touch. 0: 4 KiB.
    size_t pinned_bytes;  ///< At the top of each, pinned while `faultline_stack_run` runs on it. 0: 4 KiB.
} faultline_stack_pool_options;

/// A stack was used beyond its end. Does not grow.
typedef struct faultline_stack_overflow {
    void* stack;          ///< Its lowest byte that may be used.
    size_t stack_bytes;   ///< From there up to its top.
    size_t depth;         ///< From its top down to what was accessed: more than `stack_bytes`.
    const void* address;  ///< What was accessed.
} faultline_stack_overflow;

/// A stack of `bytes` with a region of its own; or one of many of a pool. ENOMEM when all are taken, EINVAL, and as
/// faultline_region_create.
FAULTLINE_API faultline_stack* faultline_stack_create(faultline_pager* pager, size_t bytes);
FAULTLINE_API faultline_stack* faultline_stack_pool_take(faultline_stack_pool* pool);

/// Gives a stack back, of either kind. Nobody may be running on it.
FAULTLINE_API void faultline_stack_destroy(faultline_stack* stack);

/// Calls `function(argument)` on the stack and returns when it does. 0: it returned. 1: it overflowed the stack and was
/// abandoned where it was, with its locks and changes half done; `overflow`, if it is not NULL, says where. -1: it was
/// not called; errno is EBUSY (somebody is on the stack already) or ENOMEM (no room for the pin, or an alternate
/// stack). `function` must end on the thread that called, not by pthread_exit, and no C++ exception may leave it: the
/// program would end. What code on such a stack must keep to is at the head of guarded_stack.hpp.
FAULTLINE_API int faultline_stack_run(faultline_stack* stack, void (*function)(void* argument), void* argument,
                                      faultline_stack_overflow* overflow);

/// Gives back the memory of what is not used of it. EBUSY when another thread is on it.
FAULTLINE_API int faultline_stack_trim(faultline_stack* stack);

/// The same for the stack that the caller is on. 1: done; 0: it is not a managed one; -1 and errno.
FAULTLINE_API int faultline_trim_current_stack(void);

/// The lowest byte that may be used, and, where `bytes` is not NULL, how many there are.
FAULTLINE_API void* faultline_stack_memory(const faultline_stack* stack, size_t* bytes);

/// 1 if an access to `address` overflows a stack, and `overflow` is filled in; else 0. Sets no message. Signal-safe,
/// for handlers of SIGSEGV; not on a managed stack.
FAULTLINE_API int faultline_stack_overflow_at(const void* address, faultline_stack_overflow* overflow);

/// Addresses for many stacks of one size. EINVAL, and as faultline_region_create.
FAULTLINE_API faultline_stack_pool* faultline_stack_pool_create(faultline_pager* pager,
                                                                const faultline_stack_pool_options* options);

/// Ends the caller's use of it. It lives on while stacks of it are taken.
FAULTLINE_API void faultline_stack_pool_destroy(faultline_stack_pool* pool);

/// A stack for who switches to it himself (makecontext and the likes), as the address of its lowest byte, and its
/// length where `bytes` is not NULL. Keep the pool until it has been given back. Under deliveries by signal, each
/// thread that runs on it needs a faultline_alternate_stack. ENOMEM.
FAULTLINE_API void* faultline_stack_pool_take_memory(faultline_stack_pool* pool, size_t* bytes);
FAULTLINE_API void faultline_stack_pool_give_back(faultline_stack_pool* pool, void* memory);

/// Gives back what a sleeping stack of the pool has used below `stack_pointer`, which is where it will go on.
FAULTLINE_API int faultline_stack_pool_trim(faultline_stack_pool* pool, const void* stack_pointer);

/// Stacks that are taken now, and how many can be; 0 for NULL.
FAULTLINE_API size_t faultline_stack_pool_taken(const faultline_stack_pool* pool);
FAULTLINE_API size_t faultline_stack_pool_capacity(const faultline_stack_pool* pool);
FAULTLINE_API int faultline_stack_pool_get_stats(const faultline_stack_pool* pool, faultline_stats* stats);

/// Gives the calling thread a signal stack of 64 KiB, unless it has one; undone on the same thread. ENOMEM.
FAULTLINE_API faultline_alternate_stack* faultline_alternate_stack_create(void);
FAULTLINE_API void faultline_alternate_stack_destroy(faultline_alternate_stack* stack);

// ---- System calls on buffers in managed memory, whatever the delivery: io.hpp says when transfers are short, and
// which errors there are besides those of the POSIX functions of the same names. They are cancellation points like
// those, and set no message.

FAULTLINE_API ptrdiff_t faultline_read(int descriptor, void* buffer, size_t bytes);
FAULTLINE_API ptrdiff_t faultline_write(int descriptor, const void* buffer, size_t bytes);
FAULTLINE_API ptrdiff_t faultline_pread(int descriptor, void* buffer, size_t bytes, int64_t offset);
FAULTLINE_API ptrdiff_t faultline_pwrite(int descriptor, const void* buffer, size_t bytes, int64_t offset);
FAULTLINE_API ptrdiff_t faultline_readv(int descriptor, const struct iovec* buffers, int count);
FAULTLINE_API ptrdiff_t faultline_writev(int descriptor, const struct iovec* buffers, int count);
FAULTLINE_API ptrdiff_t faultline_recv(int socket, void* buffer, size_t bytes, int flags);
FAULTLINE_API ptrdiff_t faultline_send(int socket, const void* buffer, size_t bytes, int flags);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // FAULTLINE_FAULTLINE_H
