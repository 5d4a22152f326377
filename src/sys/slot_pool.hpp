// SlotPool: up to 64 numbered slots that threads share; one thread at a time holds a slot. Taking and returning use
// compare-exchange. The pool hands out numbers only; the owner decides what they mean, and may add slots. Signal-safe.
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
    static constexpr unsigned kMost = 64;  // one bit for each slot
    static constexpr unsigned kNone = kMost;

    explicit SlotPool(unsigned slots) noexcept : absent_{absent_beyond(slots)} { FAULTLINE_INVARIANT(slots <= kMost); }
    SlotPool(const SlotPool&) = delete;
    SlotPool& operator=(const SlotPool&) = delete;

    /// Takes the lowest free slot, which was probably used last. Returns kNone if all are held.
    [[nodiscard]] unsigned try_take() FAULTLINE_SIGNAL_SAFE {
        std::uint64_t taken = taken_.load();  // not relaxed: see Event
        while ((taken | absent_.load()) != ~std::uint64_t{0}) {
            const auto lowest_free = static_cast<unsigned>(std::countr_one(taken));
            if (taken_.compare_exchange_weak(taken, taken | std::uint64_t{1} << lowest_free)) return lowest_free;
        }
        return kNone;
    }

    /// Takes a slot; blocks while all are held.
    [[nodiscard]] unsigned take() FAULTLINE_SIGNAL_SAFE {
        unsigned slot = kNone;
        given_back_.wait_until([&] { return (slot = try_take()) != kNone; });
        return slot;
    }

    void give_back(unsigned slot) FAULTLINE_SIGNAL_SAFE {
        taken_.fetch_and(~(std::uint64_t{1} << slot));
        given_back_.notify();
    }

    [[nodiscard]] unsigned slots() const FAULTLINE_SIGNAL_SAFE {
        return static_cast<unsigned>(std::countr_zero(absent_.load()));
    }
    /// Adds one slot if there are `slots`, fewer than kMost. Returns false if another thread has added one.
    [[nodiscard]] bool add_slot(unsigned slots) FAULTLINE_SIGNAL_SAFE {
        std::uint64_t expected = absent_beyond(slots);
        if (!absent_.compare_exchange_strong(expected, absent_beyond(slots + 1))) return false;
        given_back_.notify();
        return true;
    }

    /// Returns how many slots are held now.
    [[nodiscard]] unsigned held() const FAULTLINE_SIGNAL_SAFE {
        return static_cast<unsigned>(std::popcount(taken_.load(std::memory_order_relaxed)));
    }

    /// Calls `visit(slot)` for each slot that is held now.
    template <typename Visit>
    void for_each_held(Visit visit) const FAULTLINE_SIGNAL_SAFE {
        for (std::uint64_t taken = taken_.load(); taken != 0; taken &= taken - 1) {
            visit(static_cast<unsigned>(std::countr_zero(taken)));
        }
    }

    /// Blocks until no slot is held.
    void wait_until_unused() FAULTLINE_SIGNAL_SAFE {
        given_back_.wait_until([&] { return taken_.load() == 0; });
    }

private:
    static constexpr std::uint64_t absent_beyond(unsigned slots) noexcept {
        return slots == kMost ? 0 : ~std::uint64_t{0} << slots;
    }

    std::atomic<std::uint64_t> absent_;    // bits beyond the number of slots
    std::atomic<std::uint64_t> taken_{0};  // sequentially consistent, as Event requires
    Event given_back_;
};

}  // namespace faultline::sys
