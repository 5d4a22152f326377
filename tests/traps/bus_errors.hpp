// Catches the signal that an access raises: the handler records the siginfo's address and code and jumps out.
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
        if (expected == 0) {  // not raised by read_is_caught: let the access raise it again, fatally
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

/// Reads the word at `at`. Returns true if that raises a signal; else stores the word in `value`. The caller has
/// installed one of the handlers above.
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
