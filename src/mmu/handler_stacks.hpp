// HandlerStacks: stacks that a fault is resolved on when the program's alternate signal stack has too little room. One
// pool for the process, mapped once and never unmapped. Threads take and give back a stack in handler_entry.cpp, by
// registers alone; here are the layout that it reads, and the control path.
#pragma once

#include "core/signal_safe.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace faultline::mmu {

/// Read and written by handler_entry.cpp, by offset.
struct HandlerStackPool {
    std::atomic<std::uint64_t> taken{0};     ///< One bit for each stack.
    std::atomic<std::uint32_t> epoch{0};     ///< Changes when a stack is given back while threads sleep.
    std::atomic<std::uint32_t> sleepers{0};  ///< Threads that found all stacks taken.
    std::uintptr_t begin = 0;                ///< Stack i ends at begin + (i + 1) * kStackBytes.
    std::uint64_t least_room = 0;            ///< A thread with fewer bytes left on its alternate stack takes a stack.
    std::uint64_t all_signals = ~std::uint64_t{0};
};
static_assert(offsetof(HandlerStackPool, epoch) == 8 && offsetof(HandlerStackPool, sleepers) == 12 &&
              offsetof(HandlerStackPool, begin) == 16 && offsetof(HandlerStackPool, least_room) == 24 &&
              offsetof(HandlerStackPool, all_signals) == 32);

class HandlerStacks {
public:
    static constexpr unsigned kStacks = 64;                            ///< As many threads resolve at once.
    static constexpr std::size_t kStackBytes = std::size_t{64} << 10;  ///< With the guard page at the lower end.

    /// Maps the stacks unless that is done. One caller at a time. Throws std::system_error.
    static void prepare();

    /// In the child of a fork: gives back what the parent's other threads had taken.
    static void forget_other_threads() noexcept;

    /// How many are taken now.
    [[nodiscard]] static unsigned taken() FAULTLINE_SIGNAL_SAFE;
};

}  // namespace faultline::mmu
