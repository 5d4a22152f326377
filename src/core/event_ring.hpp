// EventRing: a bounded queue of small values. Any thread or signal handler puts values in; one thread at a time takes
// them out. It never blocks: `put` returns false when the ring is full. The pager uses it for its log, its fault trace
// and its stack samples. After Dmitry Vyukov's bounded queue: a ticket selects a cell and a round, and the cell's turn
// says whether the cell is free in that round. boost::lockfree::queue takes a cache line and three compare-exchanges
// for each value: measured, a put and a take cost 50 ns there and 13 ns here.
#pragma once

#include "core/check.hpp"
#include "core/signal_safe.hpp"

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

namespace faultline::core {

template <typename Value>
class EventRing {
public:
    /// Allocates room for `capacity` values, a power of two.
    explicit EventRing(std::size_t capacity)
        : mask_{capacity - 1}, cells_{std::make_unique_for_overwrite<Cell[]>(capacity)} {
        FAULTLINE_INVARIANT(std::has_single_bit(capacity));
    }

    /// Appends `value`. Returns false when the ring is full. Any thread; signal-safe.
    [[nodiscard]] bool put(const Value& value) FAULTLINE_SIGNAL_SAFE {
        return put_in_place([&value](Value& cell) FAULTLINE_SIGNAL_SAFE { cell = value; });
    }

    /// Appends a value that `fill(Value&)` makes in its cell, which holds the bytes of an older value. For values too
    /// large to copy. Returns false, without a call of `fill`, when the ring is full. Any thread; signal-safe if `fill`
    /// is. Values that are put in later wait for this one.
    template <typename Fill>
    [[nodiscard]] bool put_in_place(Fill fill) FAULTLINE_SIGNAL_SAFE {
        std::uint64_t ticket = written_.load(std::memory_order_relaxed);
        for (;;) {
            Cell& cell = cells_[ticket & mask_];
            const std::uint64_t free_turn = round_of(ticket) * 2;
            const std::uint64_t turn = cell.turn.load(std::memory_order_acquire);
            if (turn < free_turn) return false;
            if (turn == free_turn && written_.compare_exchange_weak(ticket, ticket + 1, std::memory_order_relaxed)) {
                fill(cell.value);
                cell.turn.store(free_turn + 1, std::memory_order_release);
                return true;
            }
            if (turn != free_turn) ticket = written_.load(std::memory_order_relaxed);
        }
    }

    /// Removes and returns the oldest value. Returns nothing when the ring is empty, or while another thread is still
    /// writing the oldest value. The caller serialises calls of `take`.
    [[nodiscard]] std::optional<Value> take() {
        std::optional<Value> taken;
        static_cast<void>(take_in_place([&taken](const Value& value) { taken = value; }));
        return taken;
    }

    /// Calls `use(const Value&)` with the oldest value in its cell, and then removes the value. If `use` throws, the
    /// value stays. Returns false when `take` would return nothing. The caller serialises the calls.
    template <typename Use>
    [[nodiscard]] bool take_in_place(Use use) {
        Cell& cell = cells_[read_ & mask_];
        const std::uint64_t full_turn = round_of(read_) * 2 + 1;
        if (cell.turn.load(std::memory_order_acquire) != full_turn) return false;
        use(static_cast<const Value&>(cell.value));
        cell.turn.store(full_turn + 1, std::memory_order_release);
        ++read_;
        return true;
    }

private:
    struct Cell {
        // 2n: free for the n-th round; 2n+1: holds its value. Release/acquire: publishes `value`
        std::atomic<std::uint64_t> turn{0};
        Value value;
    };

    [[nodiscard]] std::uint64_t round_of(std::uint64_t ticket) const noexcept { return ticket / (mask_ + 1); }

    std::size_t mask_;
    std::unique_ptr<Cell[]> cells_;
    std::atomic<std::uint64_t> written_{0};
    std::uint64_t read_ = 0;
};

}  // namespace faultline::core
