// FrameBudget: counts the physical memory that the regions of a pager hold, in units of 4 KiB, against the limit. It
// does not evict: FrameReclaimer does, when a reservation fails.
//
//   resident + staged + filling = used <= limit, always: a frame is reserved before the kernel is asked for it, and
//   released after the kernel has freed it.
//
// With Config::memory_limit, the pager's records share the limit with the frames: used + records <= limit, but for a
// least number of frames, and a few that are not pinned, which a program needs to make progress.
#pragma once

#include "core/check.hpp"
#include "core/record_memory.hpp"
#include "core/signal_safe.hpp"
#include "sys/event.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <utility>

namespace faultline::pager {

/// Lock-free and signal-safe. Threads that find nothing to evict sleep in a Watch until something changes.
class FrameBudget {
public:
    /// `records`: what shares the limit with the frames; null: nothing does. `pinned`: the units that pins hold. Both
    /// must outlive the budget.
    explicit FrameBudget(std::int64_t limit_units, const core::RecordMemory* records = nullptr,
                         const std::atomic<std::int64_t>* pinned = nullptr) noexcept
        : limit_{limit_units}, records_{records}, pinned_{pinned} {}

    [[nodiscard]] std::int64_t used() const noexcept { return used_.load(std::memory_order_relaxed); }
    /// Returns the maximum of `used` so far.
    [[nodiscard]] std::int64_t peak() const noexcept { return peak_.load(std::memory_order_relaxed); }
    [[nodiscard]] std::int64_t limit() const noexcept { return limit_.load(std::memory_order_relaxed); }
    /// Returns how many units frames may use: the limit without the records.
    [[nodiscard]] std::int64_t room() const FAULTLINE_SIGNAL_SAFE {
        if (records_ == nullptr) return limit();
        const std::int64_t pinned = pinned_ != nullptr ? pinned_->load(std::memory_order_relaxed) : 0;
        return std::max({limit() - records(), least(), pinned + unpinned_.load(std::memory_order_relaxed)});
    }
    /// Returns the units that records hold of the limit.
    [[nodiscard]] std::int64_t records() const FAULTLINE_SIGNAL_SAFE {
        return records_ != nullptr ? records_->units() : 0;
    }
    /// Returns the units that frames may use however large the records are.
    [[nodiscard]] std::int64_t least() const noexcept { return least_.load(std::memory_order_relaxed); }
    [[nodiscard]] std::int64_t available() const noexcept { return room() - used(); }

    /// Reserves `units` and returns true, or returns false if that would exceed the limit.
    [[nodiscard]] bool try_reserve(std::int64_t units) FAULTLINE_SIGNAL_SAFE {
        std::int64_t used = used_.load(std::memory_order_relaxed);
        while (used + units <= room()) {
            if (!used_.compare_exchange_weak(used, used + units, std::memory_order_acq_rel)) continue;
            raise_peak(used + units);
            return true;
        }
        return false;
    }

    /// Releases `units`, and wakes waiting threads.
    void release(std::int64_t units) FAULTLINE_SIGNAL_SAFE {
        if (units == 0) return;
        [[maybe_unused]] const std::int64_t before = used_.fetch_sub(units);
        FAULTLINE_INVARIANT(before >= units);
        notify();
    }

    /// Sets the limit. It may fall below `used`: the caller then evicts. However large the records are, frames may use
    /// `least` units, and `unpinned` units beyond the pins.
    void set_limit(std::int64_t units, std::int64_t least = 0, std::int64_t unpinned = 0) FAULTLINE_SIGNAL_SAFE {
        limit_.store(units);
        least_.store(least);
        unpinned_.store(unpinned);
        notify();
    }

    /// Wakes the waiting threads. Call it when frames became free or a page became evictable.
    void notify() FAULTLINE_SIGNAL_SAFE { change_.notify(); }

    /// Waits for a change of the budget. Construct it before looking for frames, so that no change after the look is
    /// missed.
    class Watch : public sys::Event::Watch {
    public:
        explicit Watch(FrameBudget& budget) FAULTLINE_SIGNAL_SAFE : sys::Event::Watch{budget.change_} {}
    };

private:
    /// Updates the peak, which is in the cache line that has just been written.
    void raise_peak(std::int64_t used) FAULTLINE_SIGNAL_SAFE {
        std::int64_t peak = peak_.load(std::memory_order_relaxed);
        while (used > peak && !peak_.compare_exchange_weak(peak, used, std::memory_order_relaxed)) {
        }
    }

    alignas(64) std::atomic<std::int64_t> used_{0};  // units
    std::atomic<std::int64_t> peak_{0};
    alignas(64) std::atomic<std::int64_t> limit_;
    std::atomic<std::int64_t> least_{0};
    std::atomic<std::int64_t> unpinned_{0};
    const core::RecordMemory* records_;
    const std::atomic<std::int64_t>* pinned_;
    sys::Event change_;
};

/// Owns frames reserved for one fault. Releases them when destroyed, except those that `keep` gave to a page.
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

    /// Gives `units` of them to a page: they are not released.
    void keep(std::int64_t units) noexcept { units_ -= units; }
    /// Adds units that the caller has reserved.
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
