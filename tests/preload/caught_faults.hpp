// catch_faults: lets a test access memory that it may not access. The access ends in a jump to `after_fault`.
#pragma once

#include <csetjmp>
#include <csignal>

// NOLINTBEGIN: tests the C library's functions
inline sigjmp_buf after_fault;

/// Set `after_fault` by sigsetjmp before each access that may fail.
inline void catch_faults() {
    struct sigaction action {};
    action.sa_handler = [](int) { siglongjmp(after_fault, 1); };
    sigaction(SIGSEGV, &action, nullptr);
    sigaction(SIGBUS, &action, nullptr);
}
// NOLINTEND
