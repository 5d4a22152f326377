// SlotPool: up to 64 numbered things that threads share, each held by one thread at a time: taken and given back by
// compare-exchange. It hands out numbers; what they stand for is the owner's. Signal-safe.
#pragma once

#include "core/check.hpp"
#include "core/signal_safe.hpp"
#include "sys/event.hpp"

#include <atomic>
#include <bit>
#include <cstdint>

namespace faultline::sys {

class SlotPool {
public:
    static constexpr unsigned kMost = 64;  // one bit each
    static constexpr unsigned kNone = kMost;

    explicit SlotPool(unsigned slots) noexcept : absent_{slots == kMost ? 0 : ~std::uint64_t{0} << slots} {
        FAULTLINE_INVARIANT(slots > 0 && slots <= kMost);
    }
    SlotPool(const SlotPool&) = delete;
    SlotPool& operator=(const SlotPool&) = delete;

    /// The lowest free number, which is the warmest; kNone when all are taken.
    [[nodiscard]] unsigned try_take() FAULTLINE_SIGNAL_SAFE {
        std::uint64_t taken = taken_.load();  // not relaxed: see Event
        while ((taken | absent_) != ~std::uint64_t{0}) {
            const auto lowest_free = static_cast<unsigned>(std::countr_one(taken));
            if (taken_.compare_exchange_weak(taken, taken | std::uint64_t{1} << lowest_free)) return lowest_free;
        }
        return kNone;
    }

    /// Waits when all are taken.
    [[nodiscard]] unsigned take() FAULTLINE_SIGNAL_SAFE {
        unsigned slot = kNone;
        given_back_.wait_until([&] { return (slot = try_take()) != kNone; });
        return slot;
    }

    void give_back(unsigned slot) FAULTLINE_SIGNAL_SAFE {
        taken_.fetch_and(~(std::uint64_t{1} << slot));
        given_back_.notify();
    }

    /// How many are held just now.
    [[nodiscard]] unsigned held() const FAULTLINE_SIGNAL_SAFE {
        return static_cast<unsigned>(std::popcount(taken_.load(std::memory_order_relaxed)));
    }

    /// Calls `visit(slot)` for each that is held just now.
    template <typename Visit>
    void for_each_held(Visit visit) const FAULTLINE_SIGNAL_SAFE {
        for (std::uint64_t taken = taken_.load(); taken != 0; taken &= taken - 1) {
            visit(static_cast<unsigned>(std::countr_zero(taken)));
        }
    }

    /// Returns when none is held.
    void wait_until_unused() FAULTLINE_SIGNAL_SAFE {
        given_back_.wait_until([&] { return taken_.load() == 0; });
    }

private:
    const std::uint64_t absent_;  // bits that stand for nothing
    std::atomic<std::uint64_t> taken_{0};
    Event given_back_;
};

}  // namespace faultline::sys
