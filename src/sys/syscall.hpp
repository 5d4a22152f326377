// System calls without libc: no errno, no cancellation point, and no symbol that the program could interpose or the
// dynamic linker would bind during a fault. The fault path and the preload use them. Set-up code uses libc.
#pragma once

#include "core/signal_safe.hpp"

#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>

namespace faultline::sys {

/// Returns what the kernel returned: a value, or a negated errno. Signal-safe.
template <typename... Args>
inline long raw_syscall(long number, Args... args) FAULTLINE_SIGNAL_SAFE {
    static_assert(sizeof...(Args) <= 6);
    std::uint64_t values[6] = {static_cast<std::uint64_t>(args)...};
    register std::uint64_t a3 asm("r10") = values[3];
    register std::uint64_t a4 asm("r8") = values[4];
    register std::uint64_t a5 asm("r9") = values[5];
    long result;
    asm volatile("syscall"
                 : "=a"(result)
                 : "a"(number), "D"(values[0]), "S"(values[1]), "d"(values[2]), "r"(a3), "r"(a4), "r"(a5)
                 : "rcx", "r11", "memory");
    return result;
}

template <typename T>
inline std::uint64_t syscall_argument(T* pointer) FAULTLINE_SIGNAL_SAFE {
    return reinterpret_cast<std::uint64_t>(pointer);
}

/// Returns the errno in a raw result, or 0.
inline int error_of(long raw_result) FAULTLINE_SIGNAL_SAFE {
    return raw_result < 0 && raw_result > -4096 ? static_cast<int>(-raw_result) : 0;
}

}  // namespace faultline::sys
