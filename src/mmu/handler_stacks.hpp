// HandlerStacks: a pool of stacks for resolving faults of threads whose alternate signal stack has too little room. The
// process has one pool; it is mapped once and never unmapped. handler_entry.cpp takes and gives back stacks with
// registers only. This header has the layout that it reads, and the control path.
#pragma once

#include "core/signal_safe.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace faultline::mmu {

/// handler_entry.cpp reads and writes this by offset.
struct HandlerStackPool {
    std::atomic<std::uint64_t> taken{0};     ///< Bit i is set while stack i is in use.
    std::atomic<std::uint32_t> epoch{0};     ///< Incremented when a thread gives a stack back while others sleep.
    std::atomic<std::uint32_t> sleepers{0};  ///< Threads that wait because all stacks are in use.
    std::uintptr_t begin = 0;                ///< Stack i ends at begin + (i + 1) * kStackBytes.
    std::uint64_t least_room = 0;  ///< A thread with less room on its alternate stack (in bytes) takes a stack.
    std::uint64_t all_signals = ~std::uint64_t{0};
};
static_assert(offsetof(HandlerStackPool, epoch) == 8 && offsetof(HandlerStackPool, sleepers) == 12 &&
              offsetof(HandlerStackPool, begin) == 16 && offsetof(HandlerStackPool, least_room) == 24 &&
              offsetof(HandlerStackPool, all_signals) == 32);

class HandlerStacks {
public:
    static constexpr unsigned kStacks = 64;  ///< At most this many threads resolve a fault on the pool at once.
    static constexpr std::size_t kStackBytes = std::size_t{64} << 10;  ///< Includes the guard page at the lower end.

    /// Maps the stacks if they are not mapped yet. One caller at a time. Throws std::system_error.
    static void prepare();

    /// Gives back the stacks that the parent's other threads had taken. Call in the child of a fork.
    static void forget_other_threads() noexcept;

    /// Returns how many stacks are in use.
    [[nodiscard]] static unsigned taken() FAULTLINE_SIGNAL_SAFE;
};

}  // namespace faultline::mmu
