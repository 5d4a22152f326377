// PageMerging: detects whether the kernel's page merging (KSM) affects this process. A merged page loses the
// userfaultfd mark that makes writes to it fault. Each of our mappings is excluded when it is made (MADV_UNMERGEABLE),
// but the program can include it again: prctl(PR_SET_MEMORY_MERGE) includes all existing mappings,
// madvise(MADV_MERGEABLE) any of them. This file tells when pages may have been merged, and which pages still have the
// mark.
#pragma once

#include "core/signal_safe.hpp"

#include <atomic>
#include <cstddef>

namespace faultline::sys {

/// One for the process, like KSM's own switches. Thread-safe.
class PageMerging {
public:
    /// Returns true if the kernel may merge, or may have merged, pages of ours. No system call on a machine without
    /// merging.
    [[nodiscard]] static bool may_happen() FAULTLINE_SIGNAL_SAFE;

    /// Checks whether the machine merges pages and has started with those of this process. `may_happen` returns the
    /// result from then on. The first call in a process opens a file in /sys, which stays open. The first call on a
    /// machine that merges pages opens files in /proc. Signal-safe.
    static void update() FAULTLINE_SIGNAL_SAFE;

    /// In a child of fork, before the program's code runs: opens the child's own files in /proc in place of its
    /// parent's, if the parent has them open.
    static void start_in_child() noexcept;

    /// Calls update, unless a recent call found that the machine merges nothing.
    static void update_occasionally() FAULTLINE_SIGNAL_SAFE;

    /// Excludes a range from merging: the kernel copies its merged pages and merges none until the program includes the
    /// range again. Returns 0 or an errno. Signal-safe.
    static int exclude(void* address, std::size_t bytes) FAULTLINE_SIGNAL_SAFE;

private:
    static inline constinit std::atomic<bool> seen_{false};
    static inline constinit std::atomic<bool> unknown_to_kernel_{false};
};

/// Returns true if userfaultfd write-protects every 4 KiB unit of a range of this process. Returns false if that cannot
/// be read. Signal-safe.
[[nodiscard]] bool is_write_protected(const void* address, std::size_t bytes) FAULTLINE_SIGNAL_SAFE;

}  // namespace faultline::sys
