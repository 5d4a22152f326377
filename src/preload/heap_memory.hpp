// What the program may ask of pages of the managed heap as of any memory: advice, protection, locks. Every function
// returns 0 or a negated errno, as the kernel does for private anonymous memory. None waits for another but for a lock.
#pragma once

#include "core/page_range.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace faultline::preload {

class HeapMemory {
public:
    /// Prepares the notes of what children of fork must do. Once, when the heap is made. Throws std::system_error.
    static void start(std::uint64_t pages);

    /// madvise(2).
    [[nodiscard]] static long advise(core::PageRange pages, int advice) noexcept;

    /// mprotect(2). -EACCES: writable and executable at once, where the delivery is sigsegv.
    [[nodiscard]] static long protect(core::PageRange pages, std::uint64_t protection) noexcept;

    /// Replaces the pages by zeros, as a new private anonymous mapping does: mmap(2) with MAP_FIXED.
    [[nodiscard]] static long replace(core::PageRange pages, std::uint64_t protection) noexcept;

    /// mlock(2): the pages come in and do not leave. -ENOMEM: the resident limit does not leave room for them.
    [[nodiscard]] static long lock(core::PageRange pages) noexcept;
    /// munlock(2), munlockall(2).
    [[nodiscard]] static long unlock(core::PageRange pages) noexcept;
    static void unlock_all() noexcept;

    /// Before a block is freed: what was asked of its pages does not hold for the next one there, as it would not after
    /// munmap(2). Costs one load where nothing was ever asked.
    static void forget(const void* block, std::size_t bytes) noexcept;
    [[nodiscard]] static bool in_use() noexcept { return in_use_.load(std::memory_order_relaxed); }

    /// Around fork, in the parent and in the child: no thread is half way through a lock.
    static void before_fork() noexcept;
    static void after_fork() noexcept;
    /// In a child of fork, before the program goes on: wipes what the program wants wiped there (MADV_WIPEONFORK), and
    /// makes executable what is both that and writable.
    static void start_in_child() noexcept;

private:
    static inline constinit std::atomic<bool> in_use_{false};  // protection, locks or notes were asked for
};

}  // namespace faultline::preload
