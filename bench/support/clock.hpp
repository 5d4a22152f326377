// Time stamps cheap enough to take around one page touch, and their conversion to nanoseconds. Used by both benchmark
// programs. Not a calendar clock: stamps of different machines or boots mean nothing to each other.
#pragma once

#include <chrono>
#include <cstdint>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace bench {

/// A stamp that no later instruction is allowed to run ahead of.
inline std::uint64_t ticks_before() noexcept {
#if defined(__x86_64__)
    const std::uint64_t now = __rdtsc();
    _mm_lfence();
    return now;
#else
    return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
#endif
}

/// A stamp taken once every earlier load has its value: the load is what took the fault.
inline std::uint64_t ticks_after() noexcept {
#if defined(__x86_64__)
    unsigned cpu = 0;
    return __rdtscp(&cpu);
#else
    return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
#endif
}

/// How long a tick is. Measured once per process against the monotonic clock, which takes 20 ms.
class TickScale {
public:
    static const TickScale& instance() {
        static const TickScale scale;
        return scale;
    }

    /// Nanoseconds between two stamps; 0 when they were taken on CPUs whose counters disagree by more than they differ.
    [[nodiscard]] std::uint64_t nanoseconds(std::uint64_t before, std::uint64_t after) const noexcept {
        return after > before ? static_cast<std::uint64_t>(static_cast<double>(after - before) * per_tick_) : 0;
    }

    [[nodiscard]] std::uint64_t ticks(double seconds) const noexcept {
        return static_cast<std::uint64_t>(seconds * 1e9 / per_tick_);
    }

private:
    TickScale() {
        using Clock = std::chrono::steady_clock;
        const auto clock_start = Clock::now();
        const std::uint64_t tick_start = ticks_after();
        auto clock_end = clock_start;
        while (clock_end - clock_start < std::chrono::milliseconds{20}) clock_end = Clock::now();
        const std::uint64_t tick_end = ticks_after();
        const std::chrono::duration<double, std::nano> elapsed = clock_end - clock_start;
        per_tick_ = elapsed.count() / static_cast<double>(tick_end - tick_start);
    }

    double per_tick_ = 1.0;  // nanoseconds
};

}  // namespace bench
