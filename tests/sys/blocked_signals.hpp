// The signals that the calling thread has blocked.
#pragma once

#include "sys/syscall.hpp"

#include <csignal>
#include <cstdint>

namespace faultline::test {

/// Returns the kernel's mask: bit `signal - 1` of each blocked signal is set.
inline std::uint64_t blocked_signals() {
    std::uint64_t mask = 0;
    sys::raw_syscall(SYS_rt_sigprocmask, SIG_BLOCK, 0, sys::syscall_argument(&mask), sizeof mask);
    return mask;
}

}  // namespace faultline::test
