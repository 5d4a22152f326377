/// @file
/// The enumerations and constants of faultline's interface: how faults arrive, what a range may be used for, and what
/// the program can advise. Nothing here allocates, throws or makes a system call.
#pragma once

#include <faultline/language.hpp>

#include <faultline/c/replacements.h>
#include <faultline/export.hpp>
#include <faultline/names.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

/// The C++ interface of faultline, which manages virtual memory in user space.
namespace faultline {
/// The version of the ABI: a library with another one has other symbols. Programs do not name it.
inline namespace v0 {

/// The smallest page size of a region, in bytes. Every page size is a multiple of it.
inline constexpr std::size_t kBasePageBytes = 4096;

/// The largest page size of a region, in bytes.
inline constexpr std::size_t kLargestPageBytes = std::size_t{2} << 20;

/// How a page fault reaches the pager.
enum class Delivery : std::uint8_t {
    /// The first of those below that works. The `Pager` constructor tries them; $FAULTLINE_DELIVERY overrides the
    /// choice.
    automatic,
    /// Handler threads, one pinned to each CPU, read faults from a userfaultfd. System calls on absent pages work.
    /// Needs root, CAP_SYS_PTRACE, `sysctl vm.unprivileged_userfaultfd=1` or access to /dev/userfaultfd.
    uffd_threads,
    /// The faulting thread resolves its own fault in a SIGBUS handler. Needs no privilege. A system call on an
    /// absent page fails with EFAULT: hold a `Pin` during the call, or use io.hpp.
    uffd_signal,
    /// The faulting thread resolves its own fault in a SIGSEGV handler. The pager hides and shows the pages of a memory
    /// file with guard markers or mprotect(2). Works on every kernel without a privilege. A system call on an absent
    /// page fails with EFAULT, as under `uffd_signal`.
    sigsegv,
};

/// What the program may do with a range; set with `Region::protect`. No page is ever writable and executable.
enum class Access : std::uint8_t {
    read_write,   ///< Loads and stores.
    read,         ///< Loads only.
    none,         ///< No access.
    read_execute  ///< Loads and instruction fetches.
};

/// The accesses for which `Region::pin` makes pages ready.
enum class PinFor : std::uint8_t {
    reading,  ///< The kernel or a device reads from the buffer.
    writing   ///< The kernel or a device writes to the buffer.
};

/// What the program tells the pager about its use of a range. Advice never changes contents.
///
/// `normal`, `sequential` and `random` describe an access pattern. They apply to every 2 MiB block, counted from the
/// region's begin, that the range touches. The last call wins.
enum class Advice : std::uint8_t {
    /// The default: detect sequential and strided access, and read ahead then.
    normal,
    /// Sequential access: read ahead from the first fault on.
    sequential,
    /// Random access: read only the faulting page.
    random,
    /// The program needs the range soon. A background thread reads its stored pages, up to 60 at once, and may
    /// evict other pages for them. `Region::wait_for_advised` waits for the reads. Without io_uring the call itself
    /// reads, and stops when no frame is free.
    willneed,
    /// The program does not need the range for a while: evict it now. Contents are kept, unlike
    /// madvise(MADV_DONTNEED).
    dontneed,
    /// The program will not need the range soon: when frames are needed, evict its pages first. Contents are kept.
    cold,
};

/// How the pager takes a page away from the program.
enum class Eviction : std::uint8_t {
    automatic,  ///< The best that delivery and kernel offer: `move`, else `copy`; under `sigsegv` `guard`, else
                ///< `protect`.
    move,       ///< UFFDIO_MOVE moves the frame itself to the staging area (Linux 6.8). userfaultfd only.
    copy,       ///< Write-protect, copy, drop: every kernel with userfaultfd write-protection (5.7). userfaultfd only.
    protect,    ///< mprotect(2) hides the page. Each isolated resident page takes two mappings. `sigsegv` only.
    guard,      ///< MADV_GUARD_INSTALL hides the page and takes no mapping (Linux 6.15). `sigsegv` only.
};

/// Which page the pager evicts when it needs a frame: a built-in policy. `Config::policy` takes another one.
///
/// | value | evicts |
/// |---|---|
/// | `second_chance` | pages that were not used again: a probation queue, and a main set whose victim is the oldest or
/// the least used of a few pages | | `fifo` | the page that became resident first |
enum class Replacement : std::uint8_t {
#define FAULTLINE_VALUE(name, word) name,
    FAULTLINE_REPLACEMENTS(FAULTLINE_VALUE)
#undef FAULTLINE_VALUE
};

/// What a child of fork gets of a pager and its regions. A child never reads zeros or another process's bytes in place
/// of its own. vfork and posix_spawn are not affected.
enum class ForkPolicy : std::uint8_t {
    /// Nothing: an access to managed memory raises SIGSEGV in the child, and the handles' functions fail with EPERM.
    /// The parent is not affected, and fork costs nothing.
    refuse,
    /// A pager of its own with the same contents. After the fork, parent and child do not see each other's changes.
    /// Resident pages are copied when one of them writes (by the kernel); the others stay in the swap file, from which
    /// both read. With Delivery::sigsegv, fork first writes dirty pages to the swap file. See Config::fork. The child
    /// inherits pins; pages that other threads had pinned stay pinned in it.
    inherit,
};

/// Severity of a message given to `Config::log`.
enum class LogLevel : std::uint8_t {
    debug,    ///< Details for the library's developers.
    info,     ///< Normal events.
    warning,  ///< The pager works, but worse than configured.
    error     ///< An operation failed.
};

/// @cond
template <>
FAULTLINE_API std::span<const char* const> names<Delivery>() noexcept;
template <>
FAULTLINE_API std::span<const char* const> names<Access>() noexcept;
template <>
FAULTLINE_API std::span<const char* const> names<PinFor>() noexcept;
template <>
FAULTLINE_API std::span<const char* const> names<Advice>() noexcept;
template <>
FAULTLINE_API std::span<const char* const> names<Eviction>() noexcept;
template <>
FAULTLINE_API std::span<const char* const> names<Replacement>() noexcept;
template <>
FAULTLINE_API std::span<const char* const> names<ForkPolicy>() noexcept;
template <>
FAULTLINE_API std::span<const char* const> names<LogLevel>() noexcept;
/// @endcond

}  // namespace v0
}  // namespace faultline
