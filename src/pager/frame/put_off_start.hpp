// PutOffStart: the threads and rings that a child of fork does without until it needs them. The first fault that they
// would help waits until the housekeeper has started them: a child has one thread at first, so none of its code runs
// while descriptors are opened, and none of these takes a number that the program expects to get.
#pragma once

#include "core/signal_safe.hpp"
#include "sys/clock.hpp"
#include "sys/futex.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>

namespace faultline::pager {

/// Thread-safe; signal-safe where marked.
class PutOffStart {
public:
    /// In the child: something is put off.
    void put_off() noexcept { state_.store(kPutOff); }

    /// Nothing is put off any more.
    void finish() noexcept { set(kNothing); }
    /// The start was not possible now: the next fault asks again.
    void fail() noexcept { set(kPutOff); }

    /// The housekeeper has work for what is put off: the next fault asks for it.
    void want() noexcept {
        std::uint32_t put_off = kPutOff;
        state_.compare_exchange_strong(put_off, kWanted);
    }

    [[nodiscard]] bool is_asked() const noexcept { return state_.load() == kAsked; }

    /// Called by a thread that handles a fault. `needed`: the fault needs a read of the store. Asks with `wake`, and
    /// waits, if it is needed or wanted.
    template <typename Wake>
    void ask_and_wait(bool needed, Wake wake) FAULTLINE_SIGNAL_SAFE {
        std::uint32_t state = state_.load(std::memory_order_relaxed);
        if (state == kNothing || (state == kPutOff && !needed)) return;
        if (state != kAsked && !state_.compare_exchange_strong(state, kAsked)) return;
        wake();
        // No longer: the thread that faults may hold a lock of the C library that the start of a thread needs.
        constexpr std::chrono::nanoseconds kPatience = std::chrono::milliseconds{50};
        const std::chrono::nanoseconds until = sys::monotonic_time() + kPatience;
        while (state_.load() == kAsked) {
            const std::chrono::nanoseconds left = until - sys::monotonic_time();
            if (left <= left.zero()) return;
            sys::futex_wait(state_, kAsked, &left);
        }
    }

private:
    static constexpr std::uint32_t kNothing = 0;
    static constexpr std::uint32_t kPutOff = 1;
    static constexpr std::uint32_t kWanted = 2;
    static constexpr std::uint32_t kAsked = 3;

    void set(std::uint32_t state) noexcept {
        state_.store(state);
        sys::futex_wake(state_);
    }

    std::atomic<std::uint32_t> state_{kNothing};  // futex
};

}  // namespace faultline::pager
