// FrameBudget: how much physical memory the regions of a pager hold, and how much they may. Counted in units of 4 KiB.
//
//   resident + staged + filling = used <= limit, always: a frame is reserved before the kernel is asked for it, and
//   released after the kernel has it back.
//
// Lock-free and signal-safe. Threads that find nothing to reclaim sleep here until something changes.
#pragma once

#include "core/check.hpp"
#include "core/signal_safe.hpp"
#include "sys/futex.hpp"

#include <atomic>
#include <cstdint>
#include <utility>

namespace faultline::pager {

class FrameBudget {
public:
    explicit FrameBudget(std::int64_t limit_units) noexcept : limit_{limit_units} {}

    [[nodiscard]] std::int64_t used() const noexcept { return used_.load(std::memory_order_relaxed); }
    /// The most that was ever used.
    [[nodiscard]] std::int64_t peak() const noexcept { return peak_.load(std::memory_order_relaxed); }
    [[nodiscard]] std::int64_t limit() const noexcept { return limit_.load(std::memory_order_relaxed); }
    [[nodiscard]] std::int64_t available() const noexcept { return limit() - used(); }

    [[nodiscard]] bool try_reserve(std::int64_t units) FAULTLINE_SIGNAL_SAFE {
        std::int64_t used = used_.load(std::memory_order_relaxed);
        while (used + units <= limit()) {
            if (!used_.compare_exchange_weak(used, used + units, std::memory_order_acq_rel)) continue;
            raise_peak(used + units);
            return true;
        }
        return false;
    }

    void release(std::int64_t units) FAULTLINE_SIGNAL_SAFE {
        if (units == 0) return;
        [[maybe_unused]] const std::int64_t before = used_.fetch_sub(units);
        FAULTLINE_INVARIANT(before >= units);
        changed();
    }

    void set_limit(std::int64_t units) noexcept {
        limit_.store(units);
        changed();
    }

    /// Frames became free, or a page became evictable: whoever found nothing looks again.
    void changed() FAULTLINE_SIGNAL_SAFE {
        if (sleepers_.load() == 0) return;
        epoch_.fetch_add(1);
        sys::futex_wake(epoch_);
    }

    /// Registered before looking for frames, so that no change after the look is missed.
    class Watch {
    public:
        explicit Watch(FrameBudget& budget) FAULTLINE_SIGNAL_SAFE : budget_{budget} {
            budget_.sleepers_.fetch_add(1);
            epoch_ = budget_.epoch_.load();
        }
        ~Watch() { budget_.sleepers_.fetch_sub(1); }
        Watch(const Watch&) = delete;
        Watch& operator=(const Watch&) = delete;

        /// Sleeps until something changed since the watch began, at most `limit` if one is given.
        void wait(const std::chrono::nanoseconds* limit) const FAULTLINE_SIGNAL_SAFE {
            sys::futex_wait(budget_.epoch_, epoch_, limit);
        }

    private:
        FrameBudget& budget_;
        std::uint32_t epoch_ = 0;
    };

private:
    /// In the cache line that has just been written to.
    void raise_peak(std::int64_t used) FAULTLINE_SIGNAL_SAFE {
        std::int64_t peak = peak_.load(std::memory_order_relaxed);
        while (used > peak && !peak_.compare_exchange_weak(peak, used, std::memory_order_relaxed)) {
        }
    }

    alignas(64) std::atomic<std::int64_t> used_{0};
    std::atomic<std::int64_t> peak_{0};
    alignas(64) std::atomic<std::int64_t> limit_;
    std::atomic<std::uint32_t> sleepers_{0};
    std::atomic<std::uint32_t> epoch_{0};
};

/// Frames held for one fault: given back unless the page that was to have them keeps them.
class FrameReservation {
public:
    FrameReservation() noexcept = default;
    FrameReservation(FrameBudget& budget, std::int64_t units) noexcept : budget_{&budget}, units_{units} {}
    FrameReservation(FrameReservation&& other) noexcept
        : budget_{std::exchange(other.budget_, nullptr)}, units_{std::exchange(other.units_, 0)} {}
    FrameReservation& operator=(FrameReservation&& other) noexcept {
        if (this != &other) {
            give_back();
            budget_ = std::exchange(other.budget_, nullptr);
            units_ = std::exchange(other.units_, 0);
        }
        return *this;
    }
    ~FrameReservation() { give_back(); }

    explicit operator bool() const noexcept { return budget_ != nullptr; }

    /// `units` of them now belong to a page.
    void keep(std::int64_t units) noexcept { units_ -= units; }
    void add(std::int64_t units) noexcept { units_ += units; }

private:
    void give_back() noexcept {
        if (budget_ != nullptr) budget_->release(units_);
        budget_ = nullptr;
    }

    FrameBudget* budget_ = nullptr;
    std::int64_t units_ = 0;
};

}  // namespace faultline::pager
