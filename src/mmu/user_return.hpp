// The return from a fault handler without rt_sigreturn(2): the handler restores the registers and the signal mask
// itself. It is the cheaper return, but only some frames allow it: may_return_in_user_space() decides for each signal.
// handler_entry.cpp uses it for faults that were resolved; everything else returns through the kernel.
//
//     on the signal frame                              on the interrupted stack
//     restore the vector registers                     restore the signal mask
//     copy what is restored last over the frame's top  restore the copied registers and flags, jump back
//
// All signals stay blocked until the stack pointer is back on the interrupted stack. A signal that was held back is
// delivered right after the mask is restored. Its handler finds a stack pointer of the program, the program's registers
// in its context or above that stack pointer, and a free alternate stack: what profilers and garbage collectors need.
#pragma once

#include "core/signal_safe.hpp"

#include <ucontext.h>

namespace faultline::mmu {

/// Returns true if `context` may be left by faultline_return_in_user_space. The kernel must be about to return from
/// this very frame, and no code may have changed it.
[[nodiscard]] bool may_return_in_user_space(const ucontext_t& context) FAULTLINE_SIGNAL_SAFE;

/// Tells why no fault of the calling thread can return in user space; null if there is no such reason.
[[nodiscard]] const char* user_return_obstacle() noexcept;

/// Makes every fault of the process return through the kernel while one lives. For tests and measurements.
class KernelReturn {
public:
    KernelReturn() noexcept;
    ~KernelReturn();
    KernelReturn(const KernelReturn&) = delete;
    KernelReturn& operator=(const KernelReturn&) = delete;
};

}  // namespace faultline::mmu

extern "C" {

/// Continues the interrupted code. Jump here with `context` in the first argument's register, from where a signal
/// handler would return. Changes the signal frame.
[[noreturn]] void faultline_return_in_user_space(const ucontext_t* context);
}
