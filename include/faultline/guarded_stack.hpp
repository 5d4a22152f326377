// Guarded stacks: stacks in managed memory. Each grows page by page up to its limit, has a guard at its end, leaves
// memory like any other page while its owner sleeps, and can give back what it does not use any more. Overflowing one
// is told apart from other faults, and code that is called through `GuardedStack::run` survives it.
//
// This is neither a scheduler nor a fiber: Boost.Context (through FiberStackAllocator), or whoever switches stacks, is.
// A pthread's own stack and its thread-local storage are never managed: libc uses them with all signals blocked.
//
// What code on a managed stack must keep to, besides what holds for managed memory everywhere:
//   - Under `uffd_signal` and `sigsegv` the thread needs an AlternateStack: a fault cannot be resolved on the page that
//     is missing. `run` sees to it; who switches to stacks himself makes one on each thread that runs them.
//   - There, handlers of the program must be installed with SA_ONSTACK: the kernel cannot push a frame onto an absent
//     page, and kills.
//   - There, a system call that is given an absent page of the stack says EFAULT. A page that was touched a moment ago
//     is rarely absent; `StackPoolOptions::pinned_bytes`, a `Pin`, or io.hpp makes sure.
//   - There, what blocks all signals (pthread_create, fork, faultline's control calls other than those here) must find
//     its stack resident: pin as much as it needs. What this header declares may be called from managed stacks.
//   - A single frame larger than `guard_bytes` may step over the guard: compile such code with
//     -fstack-clash-protection, which touches each page on the way.
// Shadow stacks of user space (CET; off unless a program asks for them) are not adjusted when an overflow is survived.
#pragma once

#include <faultline/language.hpp>

#include <faultline/export.hpp>
#include <faultline/pager.hpp>
#include <faultline/stats.hpp>
#include <faultline/types.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>

namespace faultline {

namespace space {
class StackArea;
}

struct StackPoolOptions {
    /// Bytes each stack can grow to, rounded up to 4 KiB.
    std::size_t stack_bytes = std::size_t{64} << 10;

    /// Most stacks at a time. One costs 16 bytes per 4 KiB of its addresses and the page that it uses at least.
    std::size_t stacks = 1024;

    /// Bytes below each stack that nobody may touch, rounded up to 4 KiB; at least that.
    std::size_t guard_bytes = kBasePageBytes;

    /// Bytes at the top of a stack that are pinned while `GuardedStack::run` runs on it, rounded up to 4 KiB; at most
    /// `stack_bytes`. They count against the pager's limit as pins do.
    std::size_t pinned_bytes = kBasePageBytes;
};

/// A stack was used beyond its end.
struct StackOverflow {
    const std::byte* stack = nullptr;  ///< Its lowest byte that may be used.
    std::size_t stack_bytes = 0;       ///< From there up to its top.
    std::size_t depth = 0;             ///< From its top down to what was accessed, in bytes: more than `stack_bytes`.
    const void* address = nullptr;     ///< What was accessed: in the guard.
};

/// The overflow that an access to `address` is, or nothing when that is not the guard of a stack. For handlers of the
/// program that wonder about a SIGSEGV. Signal-safe; not on a managed stack.
[[nodiscard]] FAULTLINE_API std::optional<StackOverflow> stack_overflow_at(const void* address) noexcept;

/// Gives back what the caller's own stack has used below the caller and does not use now: the pages are empty again,
/// and their memory is free. (Space on a disk stays the pool's, for the next time.) Returns false when the caller is
/// not on a managed stack. A few microseconds; worth it before a long sleep after deep calls. Any thread; not in signal
/// handlers.
FAULTLINE_API bool trim_current_stack();

/// One stack. Made by `StackPool::take`, or with a pool of its own; move-only. Destroying it gives its memory back; it
/// must not be running. Safe on any thread, not in signal handlers.
class FAULTLINE_API GuardedStack {
public:
    GuardedStack() noexcept;

    /// A stack of `bytes` with a region of its own. For many, use a StackPool. Throws like StackPool.
    GuardedStack(Pager& pager, std::size_t bytes);

    GuardedStack(GuardedStack&& other) noexcept;
    GuardedStack& operator=(GuardedStack&& other) noexcept;
    GuardedStack(const GuardedStack&) = delete;
    GuardedStack& operator=(const GuardedStack&) = delete;
    ~GuardedStack();

    /// Calls `function()` on this stack and returns when it does: nothing, or the overflow that ended it. May be called
    /// again at once, as often as wanted. An exception passes through, as through any call.
    ///
    /// After an overflow the frames of `function` are abandoned where they were, as by a longjmp out of a signal
    /// handler: no destructor runs, locks stay locked, and what was in the middle of a change stays so. Keep what must
    /// be cleaned up outside, and do not call what locks for others (malloc, stdio) near the limit. The signal mask and
    /// the floating point environment become what they were at the call.
    ///
    /// `function` must end on the thread that called `run`, and not by pthread_exit or cancellation. Costs a few
    /// microseconds less on threads that keep an AlternateStack. Throws std::system_error: EINVAL (empty handle), EBUSY
    /// (the stack is running already), ENOMEM (no room for the pin, or for an alternate stack).
    template <typename Function>
    [[nodiscard]] std::optional<StackOverflow> run(Function&& function) {
        auto call = [&function] { static_cast<void>(std::forward<Function>(function)()); };
        return run_erased([](void* target) { (*static_cast<decltype(call)*>(target))(); }, &call);
    }

    /// Gives back the memory of what is not used: below the caller when the caller runs on this stack, else everything.
    /// Throws std::system_error: EBUSY when another thread runs on it, or it is suspended in a nested `run`.
    void trim();

    /// What may be used as stack, without the guard; grows down. Empty for an empty handle.
    [[nodiscard]] std::span<std::byte> memory() const noexcept;

    /// Whether there is a stack behind the handle.
    explicit operator bool() const noexcept { return area_ != nullptr; }

private:
    friend class StackPool;
    GuardedStack(std::shared_ptr<space::StackArea> area, std::uint32_t slot) noexcept;

    std::optional<StackOverflow> run_erased(void (*call)(void*), void* argument);
    void release() noexcept;

    std::shared_ptr<space::StackArea> area_;
    std::uint32_t slot_ = 0;
};

/// Many stacks of one size in one region. A handle: copies share the pool, and each stack keeps it alive. What its
/// stacks have taken of the swap file stays taken until the pool goes. Safe on any thread, also on managed stacks, not
/// in signal handlers.
class FAULTLINE_API StackPool {
public:
    /// Reserves addresses for `options.stacks` stacks; memory comes with use. Throws std::system_error: EINVAL
    /// (nothing, or more pinned than there is), ENOMEM (addresses), and what Pager::reserve throws.
    explicit StackPool(Pager& pager, StackPoolOptions options = {});
    StackPool(const StackPool&) = default;  // and no move: a pool is never empty
    StackPool& operator=(const StackPool&) = default;

    /// A stack of zeros. Throws std::system_error: ENOMEM when all are taken, or when guards cost mappings (before
    /// Linux 6.13, under userfaultfd) and vm.max_map_count does not allow more.
    [[nodiscard]] GuardedStack take();

    /// The same without a handle, for who switches stacks himself. Whoever runs on it sees to an AlternateStack; an
    /// overflow is reported on standard error and then given on to the program's handler of SIGSEGV, or its default.
    [[nodiscard]] std::span<std::byte> take_memory();

    /// Gives back what take_memory returned, with all it holds. Nobody runs on it, and nothing of it is pinned.
    void give_back(std::span<std::byte> memory) noexcept;

    /// Gives back what a sleeping stack has used below `stack_pointer`, which is where it will go on.
    void trim(const void* stack_pointer);

    /// Stacks that are taken now, and how many can be.
    [[nodiscard]] std::size_t taken() const noexcept;
    [[nodiscard]] std::size_t capacity() const noexcept;

    /// What the stacks' pages have counted, and where they are.
    [[nodiscard]] RegionStats stats() const;

private:
    std::shared_ptr<space::StackArea> area_;
};

/// Boost.Context's StackAllocator over a StackPool: `StackContext` is boost::context::stack_context.
///
///     faultline::StackPool pool{pager, {.stack_bytes = 64 << 10, .stacks = 100'000}};
///     using Stacks = faultline::FiberStackAllocator<boost::context::stack_context>;
///     boost::context::fiber fiber{std::allocator_arg, Stacks{pool}, body};
///
/// Each thread that resumes such fibers keeps an AlternateStack, except under `uffd_threads`.
template <typename StackContext>
class FiberStackAllocator {
public:
    explicit FiberStackAllocator(const StackPool& pool) noexcept : pool_{pool} {}

    /// Throws like StackPool::take.
    StackContext allocate() {
        const std::span<std::byte> memory = pool_.take_memory();
        StackContext context;
        context.size = memory.size();
        context.sp = memory.data() + memory.size();
        return context;
    }

    void deallocate(StackContext& context) noexcept {
        pool_.give_back({static_cast<std::byte*>(context.sp) - context.size, context.size});
    }

private:
    StackPool pool_;
};

}  // namespace faultline
