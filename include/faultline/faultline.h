/// @file
/// faultline's interface for C (C99 and newer), and for languages that call C. It has opaque handles for the classes of
/// the C++ headers, which describe each class in more detail: pager.hpp, region.hpp, heap.hpp, guarded_stack.hpp,
/// io.hpp. It has no functions for address spaces yet.
///
///     faultline_config config = {.size = sizeof config, .resident_limit = (size_t)64 << 20};
///     faultline_pager* pager = faultline_pager_create(&config);
///     if (pager == NULL) fprintf(stderr, "%s\n", faultline_error_message());
///
/// These rules hold for all functions, unless a function says otherwise:
///
/// - Errors: a function returns -1, or NULL if it returns a pointer, and sets errno. `faultline_error_message` returns
///   a text. EINVAL also means that a handle is NULL, or that a range or number is out of bounds. ENOMEM also means
///   that the library cannot allocate memory for itself. After a success errno is unspecified. No C++ exception leaves
///   a function.
/// - Units: sizes are in bytes, times in nanoseconds.
/// - Structs: a struct that may grow begins with `size`, which the caller sets to sizeof the struct. If it is smaller
///   than the library's struct, because the header is older, the library reads and writes only the fields it has.
///   EINVAL: `size` is smaller than in the first version, for example 0. E2BIG: a field is set that this library does
///   not know. In structs that are passed in, 0 and NULL mean the default. A pointer to such a struct may be NULL.
/// - Ownership: the caller owns what a `create`, `take` or `pin` function returns, until it calls the function that
///   undoes it. Those functions accept NULL and do nothing then. A pager may be destroyed before the objects made from
///   it. A pin and a block must not outlive their region or heap.
/// - Threads: every function is safe on any thread. A handle must not be destroyed while another call uses it, nor used
///   afterwards. A thread must not be cancelled (pthread_cancel) inside a call.
/// - Signals: the functions are not for signal handlers. Loads and stores to managed memory are allowed there, as
///   region.hpp says.
/// - fork: as for the C++ handles, calls in a child fail with EPERM unless `fork_policy` is FAULTLINE_FORK_INHERIT.
///   Allocating from a heap does not fail there, but the program cannot access the blocks.
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

/// The version of the interface that this header describes. A program works with every library, older or newer, whose
/// `faultline_abi_version()` returns the same number. Within one version only functions, constants and fields at the
/// end of sized structs are added.
#define FAULTLINE_ABI_VERSION 1

/// Returns the FAULTLINE_ABI_VERSION of the loaded library. Signal-safe.
FAULTLINE_API unsigned faultline_abi_version(void);

/// Returns the version of the loaded library, such as "0.1.0". Signal-safe.
FAULTLINE_API const char* faultline_version(void);

/// Returns the message of this thread's last failed call: what failed, on which object, what to do, and the text of
/// errno at the end. One line; "" before the first failure; never NULL. Valid until the thread's next call that fails.
/// Functions that set no message (a heap's allocating functions, io, and those that say so) leave it unchanged.
FAULTLINE_API const char* faultline_error_message(void);

// ---- Constants

/// How a page fault reaches the pager; see faultline::Delivery.
enum faultline_delivery {
    FAULTLINE_DELIVERY_AUTOMATIC = 0,  ///< The first of these that works; $FAULTLINE_DELIVERY overrides.
    FAULTLINE_DELIVERY_UFFD_THREADS,   ///< Handler threads; system calls on absent pages work. Needs a privilege.
    FAULTLINE_DELIVERY_UFFD_SIGNAL,    ///< userfaultfd and SIGBUS; system calls on absent pages fail with EFAULT.
    FAULTLINE_DELIVERY_SIGSEGV         ///< Protection and SIGSEGV; the same EFAULT. Works on every kernel.
};

/// How the pager takes pages away from the program; see faultline::Eviction.
enum faultline_eviction {
    FAULTLINE_EVICTION_AUTOMATIC = 0,  ///< The best that delivery and kernel offer.
    FAULTLINE_EVICTION_MOVE,           ///< UFFDIO_MOVE (Linux 6.8).
    FAULTLINE_EVICTION_COPY,           ///< Write-protect, copy, drop.
    FAULTLINE_EVICTION_PROTECT,        ///< mprotect(2); with FAULTLINE_DELIVERY_SIGSEGV.
    FAULTLINE_EVICTION_GUARD           ///< MADV_GUARD_INSTALL (Linux 6.15); with FAULTLINE_DELIVERY_SIGSEGV.
};

/// Which pages the pager evicts; see faultline::Replacement.
enum faultline_replacement {
    FAULTLINE_REPLACEMENT_SECOND_CHANCE = 0,  ///< Pages that were not accessed again.
    FAULTLINE_REPLACEMENT_FIFO                ///< The pages that became resident first.
};

/// What a child of fork gets of a pager; see faultline::ForkPolicy.
enum faultline_fork_policy {
    FAULTLINE_FORK_REFUSE = 0,  ///< Nothing: its accesses raise SIGSEGV.
    FAULTLINE_FORK_INHERIT      ///< A pager of its own with the same contents.
};

/// What the program may do with a range; see faultline::Access.
enum faultline_access {
    FAULTLINE_ACCESS_READ_WRITE = 0,  ///< Loads and stores.
    FAULTLINE_ACCESS_READ,            ///< Loads only.
    FAULTLINE_ACCESS_NONE,            ///< No access.
    FAULTLINE_ACCESS_READ_EXECUTE     ///< Loads and instruction fetches.
};

/// The accesses for which a pin makes pages ready; see faultline::PinFor.
enum faultline_pin_for {
    FAULTLINE_PIN_FOR_READING = 0,  ///< The kernel or a device reads from the buffer.
    FAULTLINE_PIN_FOR_WRITING       ///< The kernel or a device writes to the buffer.
};

/// What the program tells the pager about its use of a range; see faultline::Advice.
enum faultline_advice {
    FAULTLINE_ADVICE_NORMAL = 0,  ///< Default: detect sequential and strided access.
    FAULTLINE_ADVICE_SEQUENTIAL,  ///< Sequential access.
    FAULTLINE_ADVICE_RANDOM,      ///< Random access: read only the faulting page.
    FAULTLINE_ADVICE_WILLNEED,    ///< Needed soon: read it in the background.
    FAULTLINE_ADVICE_DONTNEED,    ///< Not needed for a while: evict it now. Contents are kept.
    FAULTLINE_ADVICE_COLD         ///< Not needed soon: evict it before other pages. Contents are kept.
};

/// Severity of a message; see faultline::LogLevel.
enum faultline_log_level {
    FAULTLINE_LOG_DEBUG = 0,  ///< Details for the library's developers.
    FAULTLINE_LOG_INFO,       ///< Normal events.
    FAULTLINE_LOG_WARNING,    ///< The pager works, but worse than configured.
    FAULTLINE_LOG_ERROR       ///< An operation failed.
};

/// Returns the name of a faultline_delivery, such as "uffd_signal"; "unknown" for any other value. Never NULL.
/// Signal-safe.
FAULTLINE_API const char* faultline_delivery_name(int delivery);
/// Returns the name of a faultline_eviction, such as "move"; "unknown" for any other value. Never NULL. Signal-safe.
FAULTLINE_API const char* faultline_eviction_name(int eviction);

// ---- Pager: answers the page faults of its regions within one limit of resident memory

/// A pager: faultline::Pager.
typedef struct faultline_pager faultline_pager;
/// A region of managed memory: faultline::Region.
typedef struct faultline_region faultline_region;
/// A pin of a range: faultline::Pin.
typedef struct faultline_pin faultline_pin;

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
} faultline_config;

/// Makes a pager. `config` NULL: all defaults. EINVAL (limit too small, or an invalid constant), ENOENT EACCES ENOTDIR
/// ENOSPC (swap directory), EEXIST (swap file), EPERM ENOSYS (the delivery is not allowed, or not in this kernel).
FAULTLINE_API faultline_pager* faultline_pager_create(const faultline_config* config);

/// Gives up the handle. The pager lives on while regions, heaps or stacks use it.
FAULTLINE_API void faultline_pager_destroy(faultline_pager* pager);

/// Changes the limit, in bytes. When it shrinks, the call blocks until at most `bytes` are resident. EINVAL (too small,
/// or more than the machine has), EBUSY (pins hold more), ENOSPC EIO (the pages to evict cannot be written; the limit
/// stays).
FAULTLINE_API int faultline_pager_set_resident_limit(faultline_pager* pager, size_t bytes);

/// Returns the limit in bytes; 0 for NULL.
FAULTLINE_API size_t faultline_pager_resident_limit(const faultline_pager* pager);

/// Returns how faults arrive: a faultline_delivery, never FAULTLINE_DELIVERY_AUTOMATIC.
FAULTLINE_API int faultline_pager_delivery(const faultline_pager* pager);
/// Returns how pages are evicted: a faultline_eviction, never FAULTLINE_EVICTION_AUTOMATIC.
FAULTLINE_API int faultline_pager_eviction(const faultline_pager* pager);

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
    uint64_t dirty_bytes;     ///< Resident or staged, and newer than the store's copy.
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
} faultline_pager_stats;

/// Stores the sums over all regions of the pager, destroyed ones included, in `sums`, and the pager's own figures in
/// `own`. Either may be NULL. Each figure is as it was at some moment of the call.
FAULTLINE_API int faultline_pager_get_stats(const faultline_pager* pager, faultline_stats* sums,
                                            faultline_pager_stats* own);

// ---- Region: one reserved range of addresses, paged by its pager

/// The options of a region; faultline::RegionOptions in region.hpp describes each.
typedef struct faultline_region_options {
    size_t size;       ///< sizeof(faultline_region_options).
    size_t page_size;  ///< Page size in bytes: a power of two from 4 KiB to 2 MiB. 0: 4 KiB.
} faultline_region_options;

/// Reserves `bytes`, rounded up to whole pages, of addresses that read as zeros. Pages take memory when they are first
/// touched. EINVAL (0 bytes, or the page size), ENOMEM (no addresses left), EFBIG (the swap file would be too large).
FAULTLINE_API faultline_region* faultline_region_create(faultline_pager* pager, size_t bytes,
                                                        const faultline_region_options* options);

/// Frees addresses, frames and swap space. EBUSY: a page is pinned; the region stays.
FAULTLINE_API int faultline_region_destroy(faultline_region* region);

/// Returns the first byte; NULL for NULL.
FAULTLINE_API void* faultline_region_data(const faultline_region* region);
/// Returns the size in bytes; 0 for NULL.
FAULTLINE_API size_t faultline_region_size(const faultline_region* region);
/// Returns the page size in bytes; 0 for NULL.
FAULTLINE_API size_t faultline_region_page_size(const faultline_region* region);

/// Makes every page that the range touches resident, and keeps it so until `faultline_unpin`. For system calls,
/// O_DIRECT and devices. `purpose`: a faultline_pin_for. EINVAL (outside the region), EACCES (the protection forbids
/// it), ENOMEM (too much is pinned), EIO ENOSPC (a page cannot be made resident).
FAULTLINE_API faultline_pin* faultline_region_pin(faultline_region* region, const void* address, size_t bytes,
                                                  int purpose);

/// Ends a pin of a region or a heap. Leaves errno unchanged.
FAULTLINE_API void faultline_unpin(faultline_pin* pin);

/// Gives `advice`, a faultline_advice, on a range of any alignment.
FAULTLINE_API int faultline_region_advise(faultline_region* region, const void* address, size_t bytes, int advice);

/// Blocks until the reads that FAULTLINE_ADVICE_WILLNEED started in the range have finished or are abandoned.
FAULTLINE_API int faultline_region_wait_for_advised(faultline_region* region, const void* address, size_t bytes);

/// Drops the contents of whole pages: they read as zeros, and their frames and swap space are free. EBUSY: a page is
/// pinned; the other pages are discarded.
FAULTLINE_API int faultline_region_discard(faultline_region* region, void* address, size_t bytes);

/// Sets the accesses that whole pages allow: a faultline_access. EBUSY (FAULTLINE_ACCESS_NONE, and a page is pinned),
/// ENOMEM (vm.max_map_count).
FAULTLINE_API int faultline_region_protect(faultline_region* region, void* address, size_t bytes, int access);

/// After a read error, lets the next access to whole pages read from the store again, instead of raising SIGBUS.
FAULTLINE_API int faultline_region_retry(faultline_region* region, void* address, size_t bytes);

/// Stores the region's counters in `stats`.
FAULTLINE_API int faultline_region_get_stats(const faultline_region* region, faultline_stats* stats);

/// How many bytes of one part of a region are in which state. This struct will not grow.
typedef struct faultline_residency {
    uint64_t untouched;  ///< Never touched, or discarded: reads as zeros.
    uint64_t resident;   ///< Mapped for the program.
    uint64_t dirty;      ///< The resident bytes that are newer than the store's copy.
    uint64_t staged;     ///< Unmapped, frame still held.
    uint64_t swapped;    ///< In the store only.
} faultline_residency;

/// Divides the region into `count` equal parts, and stores the state of each in `parts`. Makes no page resident.
FAULTLINE_API int faultline_region_get_residency(const faultline_region* region, faultline_residency* parts,
                                                 size_t count);

// ---- Heap: a general-purpose allocator in managed memory

/// A heap: faultline::Heap.
typedef struct faultline_heap faultline_heap;

/// Value of `dead_bytes_kept` of faultline_heap_options: the heap keeps no dead pages.
#define FAULTLINE_KEEP_NONE SIZE_MAX

/// The options of a heap; faultline::HeapOptions in heap.hpp describes each.
typedef struct faultline_heap_options {
    size_t size;             ///< sizeof(faultline_heap_options).
    size_t reservation;      ///< Bytes of addresses for blocks and gaps: 1 MiB to 8 TiB. 0: 64 GiB.
    size_t large_threshold;  ///< Larger blocks get pages of their own: 4 KiB to 1 MiB. 0: 128 KiB.
    size_t dead_bytes_kept;  ///< Limit in bytes of dead pages kept for reuse. 0: an eighth of the pager's limit, at
                             ///< most 64 MiB.
} faultline_heap_options;

/// Makes a heap. EINVAL (a value out of range), and the errors of faultline_region_create.
FAULTLINE_API faultline_heap* faultline_heap_create(faultline_pager* pager, const faultline_heap_options* options);

/// Drops all blocks, without reading any. EBUSY: a block is pinned; the heap stays.
FAULTLINE_API int faultline_heap_destroy(faultline_heap* heap);

/// Allocates a block of `bytes` bytes, aligned to 16 bytes. 0 bytes give a block, too. ENOMEM (the reservation or the
/// store is full), EINVAL (NULL heap). Sets no message.
FAULTLINE_API void* faultline_heap_malloc(faultline_heap* heap, size_t bytes);
/// Allocates a block of `count * bytes` zero bytes, as faultline_heap_malloc does. ENOMEM also if the product
/// overflows.
FAULTLINE_API void* faultline_heap_calloc(faultline_heap* heap, size_t count, size_t bytes);
/// Makes a block larger or smaller, and returns its new address, aligned to 16 bytes. 0 bytes do not free it. Errors as
/// for faultline_heap_malloc; the block stays then.
FAULTLINE_API void* faultline_heap_realloc(faultline_heap* heap, void* block, size_t bytes);
/// Allocates as faultline_heap_malloc does, at a multiple of `alignment`, a power of two of at most 2 MiB. `bytes` need
/// not be a multiple of it. EINVAL also for another alignment.
FAULTLINE_API void* faultline_heap_aligned_alloc(faultline_heap* heap, size_t alignment, size_t bytes);

/// Frees a block. NULL does nothing. Leaves errno unchanged. Ends the program with a message for an address that is no
/// live block of the heap, if the metadata shows it.
FAULTLINE_API void faultline_heap_free(faultline_heap* heap, void* block);

/// Returns how many bytes of a live block may be used: at least the size asked for. 0 for NULL.
FAULTLINE_API size_t faultline_heap_usable_size(const faultline_heap* heap, const void* block);

/// Returns 1 if the address lies in the heap's reservation, else 0.
FAULTLINE_API int faultline_heap_owns(const faultline_heap* heap, const void* address);

/// Discards what is not in use. Returns the bytes of dead pages discarded.
FAULTLINE_API size_t faultline_heap_trim(faultline_heap* heap);

/// Pins a range of the heap, as faultline_region_pin does. A pinned block must not be freed or reallocated.
FAULTLINE_API faultline_pin* faultline_heap_pin(faultline_heap* heap, const void* address, size_t bytes, int purpose);
/// Gives `advice` on a range of the heap, as faultline_region_advise does.
FAULTLINE_API int faultline_heap_advise(faultline_heap* heap, const void* address, size_t bytes, int advice);

/// What a heap has counted, in bytes unless a field says otherwise: faultline::HeapStats in heap.hpp.
typedef struct faultline_heap_stats {
    size_t size;                  ///< sizeof(faultline_heap_stats).
    uint64_t live_bytes;          ///< Usable sizes of the allocated blocks.
    uint64_t live_blocks;         ///< Number of allocated blocks.
    uint64_t large_blocks;        ///< Number of allocated blocks with pages of their own.
    uint64_t large_bytes;         ///< Bytes of those blocks.
    uint64_t cached_bytes;        ///< In free blocks that threads keep.
    uint64_t free_in_spans;       ///< In free blocks of spans: internal fragmentation.
    uint64_t free_outside_spans;  ///< In free pages.
    uint64_t reserved_to_grow;    ///< Addresses behind large blocks that have grown before.
    uint64_t dead_bytes;          ///< In dead pages that are not discarded yet.
    uint64_t break_bytes;         ///< From the begin of the reservation to the break.
    uint64_t mapping_bytes;       ///< From the lowest large block to the end of the reservation.
    uint64_t discarded_bytes;     ///< In dead pages that the heap has discarded since it was made.
} faultline_heap_stats;

/// Stores the heap's figures in `own`, and what the pager has counted of its memory in `paging`. Either may be NULL.
FAULTLINE_API int faultline_heap_get_stats(const faultline_heap* heap, faultline_heap_stats* own,
                                           faultline_stats* paging);

/// Counts the blocks of one size. This struct will not grow.
typedef struct faultline_size_class {
    uint64_t block_bytes;    ///< The size of one block, in bytes.
    uint64_t spans;          ///< Runs of pages that are divided into such blocks.
    uint64_t live_blocks;    ///< Allocated blocks.
    uint64_t cached_blocks;  ///< Free blocks that threads keep.
    uint64_t free_blocks;    ///< Free blocks in the spans.
} faultline_size_class;

/// Stores the first `capacity` size classes that have a span, smallest first, in `classes`. Returns how many there are,
/// or -1 and errno.
FAULTLINE_API ptrdiff_t faultline_heap_get_size_classes(const faultline_heap* heap, faultline_size_class* classes,
                                                        size_t capacity);

// ---- Stacks in managed memory, whose overflow the program survives

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

// ---- System calls on buffers in managed memory, under every delivery. io.hpp says when transfers are short, and which
// errors they have besides those of the POSIX functions of the same names. They are cancellation points if the POSIX
// functions are, and set no message.

/// Reads into `buffer` as read(2) does. Returns the number of bytes, or -1 and errno.
FAULTLINE_API ptrdiff_t faultline_read(int descriptor, void* buffer, size_t bytes);
/// Writes from `buffer` as write(2) does. Returns the number of bytes, or -1 and errno.
FAULTLINE_API ptrdiff_t faultline_write(int descriptor, const void* buffer, size_t bytes);
/// Reads at `offset` as pread(2) does. Returns the number of bytes, or -1 and errno.
FAULTLINE_API ptrdiff_t faultline_pread(int descriptor, void* buffer, size_t bytes, int64_t offset);
/// Writes at `offset` as pwrite(2) does. Returns the number of bytes, or -1 and errno.
FAULTLINE_API ptrdiff_t faultline_pwrite(int descriptor, const void* buffer, size_t bytes, int64_t offset);
/// Reads into `count` buffers as readv(2) does. Returns the number of bytes, or -1 and errno.
FAULTLINE_API ptrdiff_t faultline_readv(int descriptor, const struct iovec* buffers, int count);
/// Writes from `count` buffers as writev(2) does. Returns the number of bytes, or -1 and errno.
FAULTLINE_API ptrdiff_t faultline_writev(int descriptor, const struct iovec* buffers, int count);
/// Receives into `buffer` as recv(2) does. Returns the number of bytes, or -1 and errno.
FAULTLINE_API ptrdiff_t faultline_recv(int socket, void* buffer, size_t bytes, int flags);
/// Sends from `buffer` as send(2) does. Returns the number of bytes, or -1 and errno.
FAULTLINE_API ptrdiff_t faultline_send(int socket, const void* buffer, size_t bytes, int flags);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // FAULTLINE_FAULTLINE_H
