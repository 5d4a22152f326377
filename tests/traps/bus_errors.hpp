// Catching the signal that a touch raises: the handler jumps out of it and keeps what the kernel said.
#pragma once

#include "traps/trap_support.hpp"

#include <setjmp.h>

#include <csignal>

namespace faultline::test {

struct CaughtSignal {
    static inline thread_local sigjmp_buf before_the_touch;
    static inline thread_local volatile sig_atomic_t expected = 0;
    static inline thread_local void* volatile address = nullptr;
    static inline thread_local volatile int code = 0;

    static void jump_out(int signal, siginfo_t* info, void*) {
        if (expected == 0) {  // nobody's touch: let it be fatal
            const struct sigaction fallback = plain_action(SIG_DFL);
            ::sigaction(signal, &fallback, nullptr);
            return;
        }
        address = info->si_addr;
        code = info->si_code;
        siglongjmp(before_the_touch, 1);
    }

    static void jump_out_plainly(int) { siglongjmp(before_the_touch, 1); }
};

/// Whether a read at `at` raises a signal whose handler jumps out; if not, what was read goes to `value`.
[[gnu::noinline]] inline bool read_is_caught(const std::byte* at, std::uint64_t* value = nullptr) {
    if (sigsetjmp(CaughtSignal::before_the_touch, 1) != 0) {
        CaughtSignal::expected = 0;
        return true;
    }
    CaughtSignal::expected = 1;
    const std::uint64_t found = read_word(at);
    CaughtSignal::expected = 0;
    if (value != nullptr) *value = found;
    return false;
}

}  // namespace faultline::test
