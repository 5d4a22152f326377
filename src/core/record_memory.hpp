// RecordMemory: counts the memory of a pager's own records (page words, locations, swap slots, buffers), in units of
// 4 KiB. The records count what they touch through a RecordCharge; FrameBudget takes it off the memory for frames.
#pragma once

#include "core/signal_safe.hpp"

#include <atomic>
#include <cstdint>

namespace faultline::core {

/// Lock-free and signal-safe.
class RecordMemory {
public:
    [[nodiscard]] std::int64_t units() const FAULTLINE_SIGNAL_SAFE { return units_.load(std::memory_order_relaxed); }
    void add(std::int64_t units) FAULTLINE_SIGNAL_SAFE { units_.fetch_add(units, std::memory_order_relaxed); }

private:
    std::atomic<std::int64_t> units_{0};
};

/// What one table, or one set of buffers, takes of a RecordMemory. Gives it back when destroyed. Lock-free and
/// signal-safe, except for the destructor.
class RecordCharge {
public:
    /// `memory` null: nothing is counted. It must outlive this.
    explicit RecordCharge(RecordMemory* memory = nullptr) noexcept : memory_{memory} {}
    ~RecordCharge() { set(0); }
    RecordCharge(const RecordCharge&) = delete;
    RecordCharge& operator=(const RecordCharge&) = delete;

    void add(std::int64_t units) FAULTLINE_SIGNAL_SAFE {
        if (memory_ == nullptr) return;
        units_.fetch_add(units, std::memory_order_relaxed);
        memory_->add(units);
    }
    /// Changes the whole charge to `units`.
    void set(std::int64_t units) FAULTLINE_SIGNAL_SAFE {
        if (memory_ != nullptr) memory_->add(units - units_.exchange(units, std::memory_order_relaxed));
    }

private:
    RecordMemory* memory_;
    std::atomic<std::int64_t> units_{0};
};

}  // namespace faultline::core
