// PageMerging: what the kernel's merging of alike pages (KSM) does to this process. A page that is merged loses the
// mark of userfaultfd that writes to it must fault. Each of our mappings is taken out of it (MADV_UNMERGEABLE, when it
// is made), but the program can put them back: prctl(PR_SET_MEMORY_MERGE) names all mappings that there are, and
// madvise(MADV_MERGEABLE) any. This tells when pages may have been merged, and which still have the mark.
#pragma once

#include "core/signal_safe.hpp"

#include <atomic>
#include <cstddef>

namespace faultline::sys {

/// One for the process, as KSM's own switches are. Thread-safe.
class PageMerging {
public:
    /// Whether pages of ours may be merged, or may have been. No system call on a machine that merges none.
    [[nodiscard]] static bool may_happen() FAULTLINE_SIGNAL_SAFE;

    /// Looks whether the machine merges pages, and has begun with those of this process; `may_happen` says so from then
    /// on. Opens files of /sys and /proc. Signal-safe.
    static void look() FAULTLINE_SIGNAL_SAFE;

    /// The same, but does nothing on a machine that has merged nothing a moment ago.
    static void look_now_and_then() FAULTLINE_SIGNAL_SAFE;

    /// Ends it for a range: merged pages are copied, none is merged until the program asks for it again. Returns 0 or
    /// an errno. Signal-safe.
    static int forbid(void* address, std::size_t bytes) FAULTLINE_SIGNAL_SAFE;

private:
    static inline constinit std::atomic<bool> seen_{false};
    static inline constinit std::atomic<bool> unknown_to_kernel_{false};
};

/// Reads for pages of this process whether writes to them fault by a userfaultfd. Signal-safe; one file of /proc is
/// open while it lives.
class ProtectionMarks {
public:
    ProtectionMarks() FAULTLINE_SIGNAL_SAFE;
    ~ProtectionMarks();
    ProtectionMarks(const ProtectionMarks&) = delete;
    ProtectionMarks& operator=(const ProtectionMarks&) = delete;

    /// Whether every 4 KiB of a range have the mark. False where that cannot be told.
    [[nodiscard]] bool all_marked(const void* address, std::size_t bytes) const FAULTLINE_SIGNAL_SAFE;

private:
    long fd_;
};

}  // namespace faultline::sys
