// OwnHeap: an allocator for the library's own small blocks, in OwnPlace. The C library's allocator would map arenas for
// the library's threads, and large blocks, in holes of the program. Only the preload calls it. It is made for few
// calls: one lock, and memory of blocks up to 32 KiB is used again but not returned.
#pragma once

#include "core/signal_safe.hpp"

#include <cstddef>

namespace faultline::sys {

/// Thread-safe; signal-safe, but for the calls around fork.
class OwnHeap {
public:
    /// Returns a block of at least `bytes`, aligned to `alignment`, a power of two, and to 16. Returns null if there is
    /// no OwnPlace, or no memory.
    [[nodiscard]] static void* allocate(std::size_t bytes, std::size_t alignment = 16) FAULTLINE_SIGNAL_SAFE;

    /// `block`: one that `allocate` returned.
    static void release(void* block) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] static std::size_t usable_size(const void* block) FAULTLINE_SIGNAL_SAFE;

    /// Returns true if the address lies in OwnPlace: then a block is one of this heap.
    [[nodiscard]] static bool owns(const void* block) FAULTLINE_SIGNAL_SAFE;

    // Called by ForkWatch. No thread changes this heap or OwnPlace during a fork.
    static void before_fork() noexcept;
    static void after_fork_in_parent() noexcept;
    static void after_fork_in_child() noexcept;
};

}  // namespace faultline::sys
