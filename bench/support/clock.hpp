// Time stamps that are cheap enough to take around one page touch, and their conversion to nanoseconds. Both benchmark
// programs use them. They are no calendar time: stamps of different machines or boots cannot be compared.
#pragma once

#include <chrono>
#include <cstdint>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace bench {

/// Returns a time stamp. No later instruction is executed before it.
inline std::uint64_t ticks_before() noexcept {
#if defined(__x86_64__)
    const std::uint64_t now = __rdtsc();
    _mm_lfence();
    return now;
#else
    return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
#endif
}

/// Returns a time stamp after every earlier load has its value, so that a load's fault is over.
inline std::uint64_t ticks_after() noexcept {
#if defined(__x86_64__)
    unsigned cpu = 0;
    return __rdtscp(&cpu);
#else
    return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
#endif
}

/// The length of a tick. Measured once per process against the monotonic clock, which takes 20 ms.
class TickScale {
public:
    static const TickScale& instance() {
        static const TickScale scale;
        return scale;
    }

    /// Returns the nanoseconds between two stamps; 0 if they come from CPUs whose counters differ by more than that.
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
