// HeapMemory: what madvise, mprotect, mlock and mmap with MAP_FIXED do to pages of the managed heap.
// Every function returns 0 or a negated errno, as the kernel does for private anonymous memory. None waits for anything
// but a lock. Called by memory_calls.cpp, by free, and around fork.
#pragma once

#include "core/page_range.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace faultline::preload {

class HeapMemory {
public:
    /// Prepares the notes of locked pages and of what children of fork must do. Call once, when the heap is made.
    /// Throws std::system_error.
    static void start(std::uint64_t pages);

    /// Does what madvise(2) does.
    [[nodiscard]] static long advise(core::PageRange pages, int advice) noexcept;

    /// Does what mprotect(2) does. -EACCES: writable and executable at once, under the delivery sigsegv.
    [[nodiscard]] static long protect(core::PageRange pages, std::uint64_t protection) noexcept;

    /// Replaces the pages by zeros, as mmap(2) with MAP_FIXED does with a new private anonymous mapping.
    [[nodiscard]] static long replace(core::PageRange pages, std::uint64_t protection) noexcept;

    /// Does what mlock(2) does: the pages become and stay resident. -ENOMEM: the resident limit has no room for them.
    [[nodiscard]] static long lock(core::PageRange pages) noexcept;
    /// Do what munlock(2) and munlockall(2) do.
    [[nodiscard]] static long unlock(core::PageRange pages) noexcept;
    static void unlock_all() noexcept;

    /// Cancels what the program has asked for the block's pages; munmap(2) would cancel it, too. Called before the
    /// block is freed. Costs one load if the program has never asked for anything.
    static void forget(const void* block, std::size_t bytes) noexcept;
    [[nodiscard]] static bool in_use() noexcept { return in_use_.load(std::memory_order_relaxed); }

    /// Locks and unlocks around fork, in parent and child: no other thread is inside one of these functions at the
    /// fork.
    static void before_fork() noexcept;
    static void after_fork() noexcept;
    /// In a child of fork, before the program continues: wipes the pages marked with MADV_WIPEONFORK, and makes pages
    /// executable again that are both executable and writable.
    static void start_in_child() noexcept;

private:
    static inline constinit std::atomic<bool> in_use_{false};  // true once the program has asked for anything
};

}  // namespace faultline::preload
