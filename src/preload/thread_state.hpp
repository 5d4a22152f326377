// What the preload keeps of each thread, in thread-local storage that is there before the thread's first instruction
// (initial-exec: nothing is allocated or bound when it is first used).
#pragma once

#include <cstdint>

namespace faultline::preload {

/// What the kernel reads before each system call of a thread that is dispatched (SYSCALL_DISPATCH_FILTER_*).
inline constexpr char kAllowCalls = 0;
inline constexpr char kBlockCalls = 1;

class CallResource;
class CallStacks;

struct ThreadState {
    unsigned inside = 0;  ///< Nested InLibrary scopes. A thread of the library's own is in one for life.
    volatile char selector = kAllowCalls;
    CallStacks* stacks = nullptr;        ///< Null where the thread is not dispatched.
    std::uint64_t call_stack = 0;        ///< The stack that the call in progress waits on; 0: the one it is on.
    CallResource** resources = nullptr;  ///< The list of the call in progress.
};

[[gnu::tls_model("initial-exec")]] inline constinit thread_local ThreadState this_thread;

/// While one lives, the thread is at the library's business: what it allocates is not managed, the threads that it
/// makes are the library's own, and its system calls go straight to the kernel.
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
        if (--this_thread.inside == 0) this_thread.selector = kBlockCalls;  // nobody reads it unless dispatched
    }
};

}  // namespace faultline::preload
