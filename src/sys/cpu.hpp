// The current CPU, the time stamp counter and a thread token: as cheap as the machine allows, and signal-safe. The
// fault path uses them to choose shards, measure latencies and tell threads apart. None of them orders memory accesses.
#pragma once

#include "core/signal_safe.hpp"
#include "sys/syscall.hpp"

#include <linux/rseq.h>
#include <x86intrin.h>

#include <cstddef>
#include <cstdint>

// glibc 2.35 defines them; with older versions both are null.
extern "C" {  // NOLINTBEGIN(bugprone-reserved-identifier): the C library's names
[[gnu::weak]] extern const std::ptrdiff_t __rseq_offset;
[[gnu::weak]] extern const unsigned __rseq_size;
}  // NOLINTEND(bugprone-reserved-identifier)

namespace faultline::sys {

/// Returns the CPU that the caller runs on, for choosing a shard of a counter. Only a hint: it is stale at once. Does
/// not use sched_getcpu(3), because some programs (perf) export a function of that name, which would be called instead.
inline unsigned current_cpu() FAULTLINE_SIGNAL_SAFE {
    // The kernel stores the number in an area that glibc registers for each thread (rseq(2), glibc 2.35 and later).
    if (&__rseq_size != nullptr && __rseq_size != 0) [[likely]] {
        const auto* const area = static_cast<const char*>(__builtin_thread_pointer()) + __rseq_offset;
        return reinterpret_cast<const volatile struct rseq*>(area)->cpu_id_start;  // 0 if the area is not registered
    }
    unsigned cpu = 0;
    raw_syscall(SYS_getcpu, syscall_argument(&cpu), 0, 0);
    return cpu;
}

/// Returns the time stamp counter. It runs at a constant rate on every CPU that faultline supports.
inline std::uint64_t ticks() FAULTLINE_SIGNAL_SAFE { return __rdtsc(); }

/// Returns a number that differs between all living threads. No system call.
inline std::uint64_t thread_token() FAULTLINE_SIGNAL_SAFE {
    return reinterpret_cast<std::uint64_t>(__builtin_thread_pointer());
}

/// Returns how many CPUs the process may run on; at least 1.
unsigned allowed_cpus() noexcept;

}  // namespace faultline::sys
