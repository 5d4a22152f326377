// Which CPU, which thread, what time: as cheap as the machine gives it, and signal-safe.
#pragma once

#include "core/signal_safe.hpp"

#include <sched.h>
#include <x86intrin.h>

#include <cstdint>

namespace faultline::sys {

/// The CPU the caller runs on, for choosing a shard of a counter: a hint, stale as soon as it is read.
inline unsigned current_cpu() FAULTLINE_SIGNAL_SAFE {
    const int cpu = ::sched_getcpu();  // reads the thread's rseq area or the vDSO: no system call
    return cpu < 0 ? 0U : static_cast<unsigned>(cpu);
}

/// Time stamp counter: ticks at a constant rate on every CPU faultline runs on.
inline std::uint64_t ticks() FAULTLINE_SIGNAL_SAFE { return __rdtsc(); }

/// A number that tells the calling thread from all others alive, without a system call.
inline std::uint64_t thread_token() FAULTLINE_SIGNAL_SAFE {
    return reinterpret_cast<std::uint64_t>(__builtin_thread_pointer());
}

/// CPUs the process may run on, at least 1.
unsigned allowed_cpus() noexcept;

}  // namespace faultline::sys
