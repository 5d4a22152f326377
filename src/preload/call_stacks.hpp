// CallStacks: the stacks on which one thread of the program handles its dispatched calls and its faults.
// The program's own stack may be too small: coroutine stacks can have 2 KiB, and Go functions have little more than
// they need.
//
//     guard | alternate signal stack | this object | slot 3 | slot 2 | slot 1 | slot 0
//
// The kernel starts the handler of a call on the alternate stack. The handler moves to a slot, which frees the
// alternate stack. A call that waits does so on the program's stack, where signal handlers find the stack that they
// expect.
// Each slot belongs to one call. Calls nest, because signal handlers make calls, too. Each call puts a mark of two
// words below the program's stack pointer, which stays intact until the call ends. A changed mark therefore tells that
// a handler has left the call by siglongjmp; its slot is then free.
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
        /// Returns the top of the stack, which grows downwards.
        [[nodiscard]] std::uint64_t top() const noexcept { return top_; }
        /// Returns the mark's address; the program's stack is free below it.
        [[nodiscard]] std::uint64_t mark() const noexcept { return mark_; }
        [[nodiscard]] CallResource*& resources() noexcept { return resources_; }
        /// Frees the slot. Called at the end of the call.
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

    /// Returns stacks for the calling thread and installs the alternate stack. Reuses those of threads that have ended.
    /// Returns null if the kernel has no memory. Signal-safe.
    [[nodiscard]] static CallStacks* take() noexcept;

    /// Releases what the calls of all other threads held; the calling thread keeps its stacks. Called in the child of a
    /// fork.
    static void forget_other_threads() noexcept;

    /// Two words on the program's stack that tell whether a call is still in progress.
    struct alignas(16) Mark {
        volatile std::uint64_t words[2];
    };

    /// Returns a slot for a call that was made with the stack pointer `program_stack`, or null if calls nest too
    /// deeply. Releases what abandoned calls held. Call with all signals blocked.
    [[nodiscard]] Slot* claim(std::uint64_t program_stack) noexcept;
    /// The same for a call whose mark lies in the frame of the function that makes it.
    [[nodiscard]] Slot* claim(Mark& mark) noexcept;

    /// Returns the slot that contains the address, or null.
    [[nodiscard]] Slot* slot_of(const void* address) noexcept;

    /// Returns the alternate stack, as sigaltstack(2) takes it.
    [[nodiscard]] stack_t alternate_stack() const noexcept;

    /// The alternate stack that the program believes it has, while the kernel has another: see signal_stack.cpp.
    struct Substituted {
        bool is = true;
        stack_t told{};   ///< The stack that the program has set; SS_DISABLE if it has set none.
        stack_t large{};  ///< A mapping larger than ours, kept until the thread ends; null until it is needed.
    };
    [[nodiscard]] Substituted& substituted() noexcept { return substituted_; }

    /// Handlers of the program run there, too: those that ask for an alternate stack that the program has not set, and
    /// those of fault signals. Only touched pages take memory.
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
