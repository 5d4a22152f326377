// Which CPU, which thread, what time: as cheap as the machine gives it, and signal-safe.
#pragma once

#include "core/signal_safe.hpp"
#include "sys/syscall.hpp"

#include <linux/rseq.h>
#include <x86intrin.h>

#include <cstddef>
#include <cstdint>

// glibc 2.35 defines them; older ones leave them null.
extern "C" {
[[gnu::weak]] extern const std::ptrdiff_t __rseq_offset;
[[gnu::weak]] extern const unsigned __rseq_size;
}

namespace faultline::sys {

/// The CPU the caller runs on, for choosing a shard of a counter: a hint, stale as soon as it is read. Not by
/// sched_getcpu(3): some programs export a function of that name (perf), which would be called instead.
inline unsigned current_cpu() FAULTLINE_SIGNAL_SAFE {
    // The kernel keeps the number in an area that glibc registers for each thread (rseq(2), glibc 2.35 and later).
    if (&__rseq_size != nullptr && __rseq_size != 0) [[likely]] {
        const auto* const area = static_cast<const char*>(__builtin_thread_pointer()) + __rseq_offset;
        return reinterpret_cast<const volatile struct rseq*>(area)->cpu_id_start;  // 0 where it is not registered
    }
    unsigned cpu = 0;
    raw_syscall(SYS_getcpu, syscall_argument(&cpu), 0, 0);
    return cpu;
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
