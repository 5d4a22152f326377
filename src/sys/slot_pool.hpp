// SlotPool: up to 32 numbered things that threads share, each held by one thread at a time: taken and given back by
// compare-exchange. It hands out numbers; what they stand for is the owner's. Signal-safe.
#pragma once

#include "core/check.hpp"
#include "core/signal_safe.hpp"
#include "sys/futex.hpp"

#include <atomic>
#include <bit>
#include <cstdint>

namespace faultline::sys {

class SlotPool {
public:
    static constexpr unsigned kMost = 32;  // one bit each
    static constexpr unsigned kNone = kMost;

    explicit SlotPool(unsigned slots) noexcept : taken_{slots == kMost ? 0 : ~std::uint32_t{0} << slots} {
        FAULTLINE_INVARIANT(slots > 0 && slots <= kMost);
    }
    SlotPool(const SlotPool&) = delete;
    SlotPool& operator=(const SlotPool&) = delete;

    /// The lowest free number, which is the warmest; kNone when all are taken.
    [[nodiscard]] unsigned try_take() FAULTLINE_SIGNAL_SAFE {
        std::uint32_t taken = taken_.load(std::memory_order_relaxed);
        while (taken != ~std::uint32_t{0}) {
            const auto lowest_free = static_cast<unsigned>(std::countr_one(taken));
            if (taken_.compare_exchange_weak(taken, taken | std::uint32_t{1} << lowest_free)) return lowest_free;
        }
        return kNone;
    }

    /// Waits when all are taken.
    [[nodiscard]] unsigned take() FAULTLINE_SIGNAL_SAFE {
        for (;;) {
            if (const unsigned slot = try_take(); slot != kNone) return slot;
            sleepers_.fetch_add(1);
            futex_wait(taken_, ~std::uint32_t{0});
            sleepers_.fetch_sub(1);
        }
    }

    void give_back(unsigned slot) FAULTLINE_SIGNAL_SAFE {
        taken_.fetch_and(~(std::uint32_t{1} << slot));
        if (sleepers_.load() > 0) futex_wake(taken_, 1);
    }

private:
    std::atomic<std::uint32_t> taken_;
    std::atomic<std::uint32_t> sleepers_{0};
};

}  // namespace faultline::sys
