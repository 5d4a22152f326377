/// @file
/// A heap for C: a general-purpose allocator in managed memory. Part of faultline.h, which has the rules for errors,
/// structs, ownership and threads; heap.hpp describes more.
#ifndef FAULTLINE_C_HEAP_H
#define FAULTLINE_C_HEAP_H

#include <faultline/c/constants.h>
#include <faultline/c/pager.h>
#include <faultline/c/pin.h>
#include <faultline/c/stats.h>
#include <faultline/export.hpp>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

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

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // FAULTLINE_C_HEAP_H
