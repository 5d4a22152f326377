// The small words of faultline's interface: how faults arrive, what a range may be used for, what can be advised.
// Plain enumerations and constants: nothing here allocates, throws or touches the operating system.
#pragma once

#include <faultline/language.hpp>

#include <faultline/export.hpp>

#include <cstddef>
#include <cstdint>

namespace faultline {

/// The smallest page a region can have, and the unit every larger page is a multiple of, in bytes.
inline constexpr std::size_t kBasePageBytes = 4096;

/// The largest page a region can have, in bytes.
inline constexpr std::size_t kLargestPageBytes = std::size_t{2} << 20;

/// How a page fault reaches the pager.
enum class Delivery : std::uint8_t {
    /// Handler threads, one pinned to each CPU, read faults from a userfaultfd. System calls on absent pages work.
    /// Needs root, CAP_SYS_PTRACE, `sysctl vm.unprivileged_userfaultfd=1` or access to /dev/userfaultfd.
    uffd_threads,
    /// The faulting thread resolves its own fault in a SIGBUS handler. Needs no privilege. A system call on an
    /// absent page fails with EFAULT: use `Pin` around it, or io.hpp.
    uffd_signal,
    /// The faulting thread resolves its own fault in a SIGSEGV handler; the pages of a memory file are hidden and shown
    /// by guard markers or by protection. Needs nothing of the kernel that is ever refused. System calls as under
    /// `uffd_signal`.
    sigsegv,
    /// The first of the above that works here, tried out when the pager is made; $FAULTLINE_DELIVERY overrides.
    automatic,
};

/// What the program may do with a range. Set with `Region::protect`. Nothing is ever writable and executable.
enum class Access : std::uint8_t { read_write, read, none, read_execute };

/// What a page is made ready for by `Region::pin`.
enum class PinFor : std::uint8_t { reading, writing };

/// What the program knows about a range and the pager does not.
enum class Advice : std::uint8_t {
    /// The range is needed soon: what is stored of it is read in the background, up to 60 reads at once, and may take
    /// the place of other pages. `Region::wait_for_advised` waits for it. Without io_uring it is read by the call, as
    /// far as free frames reach.
    willneed,
    /// The range is not needed for a while: evict it now. Contents are kept (unlike madvise(MADV_DONTNEED)).
    dontneed,
    /// The range will not be needed soon: its pages leave before any others, when frames are needed. Contents are kept.
    cold,
    // How the range will be gone through. Holds for the blocks of 2 MiB, from the region's begin, that it touches; the
    // last
    // word counts.
    /// In whatever way: pages come in ahead where a walk is noticed. What holds until something else is said.
    normal,
    /// In order: pages come in ahead from the first fault on.
    sequential,
    /// In no order: a fault brings in its page only.
    random,
};

/// How a page is taken off the program's view.
enum class Eviction : std::uint8_t {
    automatic,  ///< The best that the delivery and the kernel have: `move`, else `copy`; `guard`, else `protect`.
    move,       ///< UFFDIO_MOVE: the frame itself goes to the staging area (Linux 6.8). userfaultfd only.
    copy,       ///< Write-protect, copy, drop: works on every kernel with userfaultfd write-protection (5.7).
    protect,    ///< mprotect(2) hides the page; each isolated resident page takes two mappings. `sigsegv` only.
    guard,      ///< MADV_GUARD_INSTALL hides the page and takes no mapping (Linux 6.15). `sigsegv` only.
};

/// Which page leaves when a frame is needed.
enum class Replacement : std::uint8_t {
    fifo,           ///< The page that came first.
    second_chance,  ///< A probation ring, and a main set whose victim is the oldest of a few random pages.
};

/// What a child of fork has of a pager and its regions. It never sees zeros, nor another's bytes; vfork and posix_spawn
/// are not concerned.
enum class ForkPolicy : std::uint8_t {
    /// Nothing: its access to managed memory raises SIGSEGV, and the handles refuse with EPERM. The parent goes on
    /// undisturbed, and fork costs nothing.
    refuse,
    /// A pager of its own with the same contents: from the fork on, parent and child do not see each other's changes.
    /// Fork writes what is dirty to the swap file first, which both go on reading. Pins go over; what other threads had
    /// pinned stays pinned.
    inherit,
};

/// Severity of a message given to `Config::log`.
enum class LogLevel : std::uint8_t { debug, info, warning, error };

/// The name used in options, messages and JSON ("uffd_signal"). Never null. Signal-safe.
FAULTLINE_API const char* name(Delivery delivery) noexcept;
FAULTLINE_API const char* name(Eviction eviction) noexcept;
FAULTLINE_API const char* name(Replacement replacement) noexcept;
FAULTLINE_API const char* name(ForkPolicy policy) noexcept;

}  // namespace faultline
