/// @file
/// A region for C: one reserved range of addresses, paged by its pager. Part of faultline.h, which has the rules for
/// errors, structs, ownership and threads; region.hpp describes more.
#ifndef FAULTLINE_C_REGION_H
#define FAULTLINE_C_REGION_H

#include <faultline/c/constants.h>
#include <faultline/c/pager.h>
#include <faultline/c/pin.h>
#include <faultline/c/stats.h>
#include <faultline/export.hpp>

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/// A region of managed memory: faultline::Region.
typedef struct faultline_region faultline_region;

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

/// Divides the region into `count` equal parts, and stores the state of each in `parts`. Makes no page resident.
FAULTLINE_API int faultline_region_get_residency(const faultline_region* region, faultline_residency* parts,
                                                 size_t count);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // FAULTLINE_C_REGION_H
