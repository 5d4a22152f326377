// The preload's state of each thread, in thread-local storage that exists before the thread's first instruction
// (initial-exec: the first use neither allocates nor binds).
#pragma once

#include <cstdint>

namespace faultline::preload {

/// The byte that the kernel reads before each system call of a dispatched thread (SYSCALL_DISPATCH_FILTER_*).
inline constexpr char kAllowCalls = 0;
inline constexpr char kBlockCalls = 1;

class CallResource;
class CallStacks;

struct ThreadState {
    unsigned inside = 0;  ///< Nested InLibrary scopes. A thread of the library itself stays in one until it ends.
    volatile char selector = kAllowCalls;
    CallStacks* stacks = nullptr;        ///< Null if the thread is not dispatched.
    std::uint64_t stack_pointer = 0;     ///< The program's, in the call in progress.
    std::uint64_t call_stack = 0;        ///< The stack that the call in progress waits on; 0: the current one.
    CallResource** resources = nullptr;  ///< The list of the call in progress.
};

[[gnu::tls_model("initial-exec")]] inline constinit thread_local ThreadState this_thread;

/// Names the stack of a call during the object's lifetime. Whatever looks behind the arguments of a call needs one:
/// what an earlier call named may be out of date, as after a siglongjmp.
class StackPointerScope {
public:
    explicit StackPointerScope(std::uint64_t stack_pointer) noexcept : outer_{this_thread.stack_pointer} {
        this_thread.stack_pointer = stack_pointer;
    }
    ~StackPointerScope() { this_thread.stack_pointer = outer_; }
    StackPointerScope(const StackPointerScope&) = delete;
    StackPointerScope& operator=(const StackPointerScope&) = delete;

private:
    std::uint64_t outer_;
};

/// Marks the calling thread as running library code. Its allocations are not managed, and threads that it creates are
/// the library's. Its system calls go straight to the kernel.
class InLibrary {
public:
    InLibrary() noexcept { enter(); }
    ~InLibrary() { leave(); }
    InLibrary(const InLibrary&) = delete;
    InLibrary& operator=(const InLibrary&) = delete;

    static void enter() noexcept {
        ++this_thread.inside;
        this_thread.selector = kAllowCalls;
    }
    static void leave() noexcept {
        if (--this_thread.inside == 0) this_thread.selector = kBlockCalls;  // read for dispatched threads only
    }
};

}  // namespace faultline::preload
