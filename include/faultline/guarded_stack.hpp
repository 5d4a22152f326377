/// @file
/// GuardedStack, StackPool, FiberStackAllocator: stacks in managed memory. A stack grows page by page up to its limit
/// and has a guard at its end. While its owner sleeps, its pages are evicted like other pages, and `trim` frees what it
/// no longer uses. A stack overflow is told apart from other faults, and code called through `GuardedStack::run`
/// survives it.
///
/// This is neither a scheduler nor a fiber library: use Boost.Context (through FiberStackAllocator) or another library
/// to switch stacks. A pthread's own stack and its thread-local storage are never managed, because libc uses them with
/// all signals blocked.
///
/// Rules for code on a managed stack, besides the rules for all managed memory:
///
/// - A single frame larger than `guard_bytes` may step over the guard. Compile such code with
///   -fstack-clash-protection, which touches each page on the way.
/// - Shadow stacks of user space (CET; off unless a program asks for them) are not adjusted when an overflow is
///   survived.
///
/// Under `uffd_signal` and `sigsegv` also:
///
/// - The thread needs an AlternateStack, because a fault cannot be resolved on the page that is absent. `run` makes
///   one. Code that switches stacks itself makes one on each thread that runs them.
/// - Install the program's signal handlers with SA_ONSTACK. The kernel cannot push a frame onto an absent page, and
///   kills the process.
/// - A system call on an absent page of the stack fails with EFAULT. A page that was touched a moment ago is rarely
///   absent; `StackPoolOptions::pinned_bytes`, a `Pin` or io.hpp guarantees it.
/// - Code that blocks all signals must find its stack resident: pthread_create, fork, and faultline's control calls
///   except those of this header. Pin as much as it needs. The functions of this header may be called from managed
///   stacks.
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

inline namespace v0 {

/// The options of a pool of stacks. The constructor of `StackPool` throws EINVAL for a value out of range.
struct StackPoolOptions {
    /// The size in bytes that each stack can grow to, rounded up to 4 KiB.
    std::size_t stack_bytes = std::size_t{64} << 10;

    /// Maximum number of stacks at a time. A stack costs 16 bytes per 4 KiB of its addresses, and at least one page
    /// once it is used.
    std::size_t stacks = 1024;

    /// Size in bytes of the inaccessible guard below each stack, rounded up to 4 KiB; at least 4 KiB.
    std::size_t guard_bytes = kBasePageBytes;

    /// Bytes at the top of a stack that `GuardedStack::run` pins while it runs, rounded up to 4 KiB; at most
    /// `stack_bytes`. They count against the pager's limit as all pins do.
    std::size_t pinned_bytes = kBasePageBytes;
};

/// Describes an access beyond the end of a stack.
struct StackOverflow {
    const std::byte* stack = nullptr;  ///< The lowest usable byte of the stack.
    std::size_t stack_bytes = 0;       ///< The usable size of the stack, in bytes.
    std::size_t depth = 0;             ///< Bytes from the stack's top down to `address`: more than `stack_bytes`.
    const void* address = nullptr;     ///< The address accessed, in the guard.
};

/// Returns the overflow if `address` lies in the guard of a stack, else nothing. For the program's SIGSEGV handlers.
/// Signal-safe; not for code on a managed stack.
[[nodiscard]] FAULTLINE_API std::optional<StackOverflow> stack_overflow_at(const void* address) noexcept;

/// Frees the memory of the calling stack's unused pages, those below the caller's frame. They read as zeros afterwards.
/// Their space in the swap file stays with the pool for later use. Returns false if the caller is not on a managed
/// stack. Takes a few microseconds; call it before a long sleep after deep calls. Any thread; not for signal handlers.
FAULTLINE_API bool trim_current_stack();

/// One stack. Made by `StackPool::take`, or with a region of its own; move-only. Its destructor gives the memory back;
/// no code may be running on it then. Any thread may call the functions, but not in a signal handler.
///
///     faultline::GuardedStack stack{pager, 1 << 20};
///     const std::optional<faultline::StackOverflow> overflow = stack.run([&] { parse(input); });
class FAULTLINE_API GuardedStack {
public:
    /// Constructs an empty handle.
    GuardedStack() noexcept;

    /// Makes a stack of `bytes` bytes with a region of its own. For many stacks, use a StackPool. Throws what StackPool
    /// throws.
    GuardedStack(Pager& pager, std::size_t bytes);

    /// Takes over the stack of `other`, which is empty afterwards.
    GuardedStack(GuardedStack&& other) noexcept;
    /// Gives the own stack back, then takes over that of `other`.
    GuardedStack& operator=(GuardedStack&& other) noexcept;
    GuardedStack(const GuardedStack&) = delete;
    GuardedStack& operator=(const GuardedStack&) = delete;
    /// Gives the stack and its memory back. Throws nothing.
    ~GuardedStack();

    /// True if the handle owns a stack: it was not moved from.
    explicit operator bool() const noexcept { return area_ != nullptr; }

    /// Calls `function()` on this stack. Returns nothing when it returns, or the overflow that ended it. An exception
    /// passes through. `run` may be called any number of times, also after an overflow.
    ///
    /// After an overflow the frames of `function` are abandoned, as by longjmp out of a signal handler. No destructor
    /// runs, locks stay locked, and data that it was changing stays half changed. Keep what must be cleaned up outside.
    /// Near the limit, do not call functions that hold process-wide locks (malloc, stdio). The signal mask and the
    /// floating point environment become what they were at the call.
    ///
    /// `function` must end on the thread that called `run`, and not by pthread_exit or cancellation. A call takes a few
    /// microseconds less on a thread that keeps an AlternateStack. Throws std::system_error: EINVAL (empty handle),
    /// EBUSY (other code runs on the stack), ENOMEM (no room for the pin, or for an alternate stack).
    template <typename Function>
    [[nodiscard]] std::optional<StackOverflow> run(Function&& function) {
        auto call = [&function] { static_cast<void>(std::forward<Function>(function)()); };
        return run_erased([](void* target) { (*static_cast<decltype(call)*>(target))(); }, &call);
    }

    /// Frees the memory of the unused pages: those below the caller if the caller runs on this stack, else all. Throws
    /// std::system_error: EBUSY (another thread runs on it, or it is suspended in a nested `run`).
    void trim();

    /// Returns the usable bytes of the stack, without the guard; the stack grows down. Empty for an empty handle.
    [[nodiscard]] std::span<std::byte> memory() const noexcept;

private:
    friend class StackPool;
    GuardedStack(std::shared_ptr<space::StackArea> area, std::uint32_t slot) noexcept;

    std::optional<StackOverflow> run_erased(void (*call)(void*), void* argument);
    void release() noexcept;

    std::shared_ptr<space::StackArea> area_;
    std::uint32_t slot_ = 0;
};

/// Many stacks of one size in one region; move-only. The stacks of `take` keep the pool alive. The pool keeps the swap
/// file space of its stacks until it is destroyed. Any thread may call the functions, also on managed stacks, but not
/// in a signal handler. On an empty handle, functions throw EINVAL or return 0.
///
///     faultline::StackPool pool{pager, {.stack_bytes = 64 << 10, .stacks = 100'000}};
///     faultline::GuardedStack stack = pool.take();
class FAULTLINE_API StackPool {
public:
    /// Reserves addresses for `options.stacks` stacks; a stack takes memory when it is used. Throws std::system_error:
    /// EINVAL (a size or number is 0, or more is pinned than a stack has), ENOMEM (no addresses left), or what
    /// Pager::reserve throws.
    explicit StackPool(Pager& pager, StackPoolOptions options = {});
    /// Takes over the pool of `other`, which is empty afterwards.
    StackPool(StackPool&& other) noexcept = default;
    /// Gives up the own pool, then takes over that of `other`.
    StackPool& operator=(StackPool&& other) noexcept = default;
    StackPool(const StackPool&) = delete;
    StackPool& operator=(const StackPool&) = delete;
    /// Gives up the handle. The pool lives on while stacks of `take`, or a FiberStackAllocator, use it.
    ~StackPool() = default;

    /// True if the handle owns a pool: it was not moved from.
    explicit operator bool() const noexcept { return area_ != nullptr; }

    /// Takes a stack, whose bytes are zeros. Throws std::system_error (ENOMEM): all stacks are taken; or guards take
    /// mappings (before Linux 6.13, under userfaultfd) and vm.max_map_count is reached.
    [[nodiscard]] GuardedStack take();

    /// Takes a stack without a handle, for code that switches stacks itself. Throws what `take` throws. The code that
    /// runs on it provides an AlternateStack. An overflow is reported on standard error, and then passed to the
    /// program's SIGSEGV handler, or to the default action.
    [[nodiscard]] std::span<std::byte> take_memory();

    /// Gives back memory from take_memory, with its contents. No thread may run on it, and no byte of it may be pinned.
    /// Does nothing on an empty handle.
    void give_back(std::span<std::byte> memory) noexcept;

    /// Frees the memory of a suspended stack below `stack_pointer`, its saved stack pointer.
    void trim(const void* stack_pointer);

    /// Returns the number of stacks taken now.
    [[nodiscard]] std::size_t taken() const noexcept;
    /// Returns the maximum number of stacks at a time.
    [[nodiscard]] std::size_t capacity() const noexcept;

    /// Returns what the pager has counted of the pool's pages, and their state.
    [[nodiscard]] RegionStats stats() const;

private:
    template <typename StackContext>
    friend class FiberStackAllocator;
    explicit StackPool(std::shared_ptr<space::StackArea> area) noexcept;

    std::shared_ptr<space::StackArea> area_;
};

/// A StackAllocator for Boost.Context that takes its stacks from a StackPool. `StackContext` is
/// boost::context::stack_context.
///
///     faultline::StackPool pool{pager, {.stack_bytes = 64 << 10, .stacks = 100'000}};
///     using Stacks = faultline::FiberStackAllocator<boost::context::stack_context>;
///     boost::context::fiber fiber{std::allocator_arg, Stacks{pool}, body};
///
/// Each thread that resumes such fibers keeps an AlternateStack, except under `uffd_threads`. Copies share the pool.
template <typename StackContext>
class FiberStackAllocator {
public:
    /// Makes an allocator over `pool`, and keeps the pool alive.
    explicit FiberStackAllocator(const StackPool& pool) noexcept : pool_{StackPool{pool.area_}} {}
    /// Makes another allocator over the same pool.
    FiberStackAllocator(const FiberStackAllocator& other) noexcept : FiberStackAllocator{other.pool_} {}
    /// Makes this an allocator over the pool of `other`.
    FiberStackAllocator& operator=(const FiberStackAllocator& other) noexcept {
        pool_ = StackPool{other.pool_.area_};
        return *this;
    }
    ~FiberStackAllocator() = default;

    /// Takes a stack. Throws what StackPool::take throws.
    StackContext allocate() {
        const std::span<std::byte> memory = pool_.take_memory();
        StackContext context;
        context.size = memory.size();
        context.sp = memory.data() + memory.size();
        return context;
    }

    /// Gives back a stack from `allocate`.
    void deallocate(StackContext& context) noexcept {
        pool_.give_back({static_cast<std::byte*>(context.sp) - context.size, context.size});
    }

private:
    StackPool pool_;
};

}  // namespace v0
}  // namespace faultline
