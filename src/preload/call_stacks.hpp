// CallStacks: where a thread of the program handles its dispatched calls and its faults. The program's own stack may
// have no room for that: the stacks of coroutines have 2 KiB, and those of Go's functions hardly more than they need.
//
//     guard | alternate signal stack | this object | slot 3 | slot 2 | slot 1 | slot 0
//
// The kernel begins the handler of a call on the alternate stack. The handler moves to a slot, and leaves the alternate
// stack free: a call that waits does so on the program's stack, where signals find what they find without us. A slot
// belongs to one call. Calls nest, since signal handlers make calls; a call that a handler has left by siglongjmp is
// found out by its mark: two words below the program's stack pointer, which last as long as the call does.
#pragma once

#include "preload/call_resource.hpp"

#include <array>
#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstdint>

namespace faultline::preload {

class CallStacks {
public:
    /// The stack of one call.
    class Slot {
    public:
        /// Where the stack begins, downwards.
        [[nodiscard]] std::uint64_t top() const noexcept { return top_; }
        /// The mark's address, below which the program's stack is free.
        [[nodiscard]] std::uint64_t mark() const noexcept { return mark_; }
        [[nodiscard]] CallResource*& resources() noexcept { return resources_; }
        /// At the end of the call.
        void release() noexcept { used_ = false; }

    private:
        friend class CallStacks;
        [[nodiscard]] bool is_abandoned() const noexcept;
        void give_up() noexcept;

        bool used_ = false;
        std::uint64_t top_ = 0;
        std::uint64_t mark_ = 0;
        std::uint64_t cookie_ = 0;
        CallResource* resources_ = nullptr;
    };

    /// For the calling thread, with the alternate stack installed. Those of threads that have ended are used again.
    /// Null where the kernel has no memory. Signal-safe.
    [[nodiscard]] static CallStacks* take() noexcept;

    /// In the child of a fork: the calling thread keeps its stacks, and what the calls of all others held is given
    /// back.
    static void forget_other_threads() noexcept;

    /// The stack of a call that was made with the stack pointer `program_stack`. Gives back what abandoned calls held.
    /// Null where calls nest too deeply. With all signals blocked.
    [[nodiscard]] Slot* claim(std::uint64_t program_stack) noexcept;

    /// The slot that an address lies in, or null.
    [[nodiscard]] Slot* slot_of(const void* address) noexcept;

    /// The alternate stack, as sigaltstack(2) takes it.
    [[nodiscard]] stack_t alternate_stack() const noexcept;

    /// What the program knows of its alternate stack, while the kernel has another one: see signal_stack.cpp.
    struct Substituted {
        bool is = true;
        stack_t told{};   ///< What the program has given; SS_DISABLE where it has given none.
        stack_t large{};  ///< A mapping that is larger than ours, for as long as the thread lives; null before.
    };
    [[nodiscard]] Substituted& substituted() noexcept { return substituted_; }

    /// Handlers of the program run there, too, if they ask for an alternate stack that they have not given, or handle
    /// faults. Memory is spent on what is touched.
    static constexpr std::size_t kAlternateBytes = std::size_t{256} << 10;

private:
    CallStacks() noexcept;
    [[nodiscard]] static CallStacks* map() noexcept;
    [[nodiscard]] static CallStacks* take_from_the_dead(int thread) noexcept;
    void give_up_calls() noexcept;

    static constexpr std::size_t kSlots = 4;
    static constexpr std::size_t kSlotBytes = std::size_t{32} << 10;
    static constexpr std::size_t kGuardBytes = 4096;
    static constexpr std::size_t kOwnBytes = 4096;
    static constexpr std::size_t kAllBytes = kGuardBytes + kAlternateBytes + kOwnBytes + kSlots * kSlotBytes;

    std::atomic<int> owner_{0};  // a thread's id
    CallStacks* next_ = nullptr;
    std::array<Slot, kSlots> slots_;
    std::uint64_t calls_ = 0;
    Substituted substituted_;
};

}  // namespace faultline::preload
