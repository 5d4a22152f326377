/// @file
/// The enumeration constants of the C interface, and their names. Their values equal those of the C++ enumerations in
/// types.hpp, which describes each in more detail. Part of faultline.h.
#ifndef FAULTLINE_C_CONSTANTS_H
#define FAULTLINE_C_CONSTANTS_H

#include <faultline/c/replacements.h>
#include <faultline/export.hpp>

#ifdef __cplusplus
extern "C" {
#endif

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

/// Which pages the pager evicts: a built-in policy. FAULTLINE_REPLACEMENT_SECOND_CHANCE (0): pages that were not used
/// again. FAULTLINE_REPLACEMENT_FIFO: the pages that became resident first. See faultline::Replacement.
enum faultline_replacement {
#define FAULTLINE_WORD(name, word) FAULTLINE_REPLACEMENT_##word,
    FAULTLINE_REPLACEMENTS(FAULTLINE_WORD)
#undef FAULTLINE_WORD
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

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // FAULTLINE_C_CONSTANTS_H
