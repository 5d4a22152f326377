// RecordMemory: counts the memory of a pager's own records (page words, locations, swap slots, buffers), in units of
// 4 KiB. The records count what they touch through a RecordCharge; FrameBudget takes it off the memory for frames.
//
// Buffers are large, and are touched at once. Under a memory limit a new one takes its memory from the spare: memory
// that counts already, so that no frame has to leave at that moment. SplitKeeper fills the spare as frames leave.
#pragma once

#include "core/signal_safe.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace faultline::core {

/// Lock-free and signal-safe.
class RecordMemory {
public:
    [[nodiscard]] std::int64_t units() const FAULTLINE_SIGNAL_SAFE { return units_.load(std::memory_order_relaxed); }
    void add(std::int64_t units) FAULTLINE_SIGNAL_SAFE { units_.fetch_add(units, std::memory_order_relaxed); }

    /// From now on new buffers come out of the spare. `most`: units that buffers and the spare take together, without
    /// those that were added before. Buffers beyond a lowered `most` stay.
    void limit_buffers(std::int64_t most) FAULTLINE_SIGNAL_SAFE {
        most_buffers_.store(most, std::memory_order_relaxed);
    }

    /// Takes the memory of a new buffer. Returns false if the spare is smaller: the caller does without.
    [[nodiscard]] bool take_buffer(std::int64_t units) FAULTLINE_SIGNAL_SAFE {
        if (most_buffers_.load(std::memory_order_relaxed) == kUnlimited) {
            add(units);
            return true;
        }
        std::int64_t spare = spare_.load(std::memory_order_relaxed);
        while (spare >= units) {
            if (!spare_.compare_exchange_weak(spare, spare - units, std::memory_order_relaxed)) continue;
            buffers_.fetch_add(units, std::memory_order_relaxed);
            wanted_.store(0, std::memory_order_relaxed);
            return true;
        }
        wanted_.store(units, std::memory_order_relaxed);
        return false;
    }
    /// Gives up a buffer that was taken, but not touched.
    void return_buffer(std::int64_t units) FAULTLINE_SIGNAL_SAFE {
        if (most_buffers_.load(std::memory_order_relaxed) == kUnlimited) return add(-units);
        buffers_.fetch_sub(units, std::memory_order_relaxed);
        spare_.fetch_add(units, std::memory_order_relaxed);
    }

    /// Gives up the memory of buffers that are unmapped.
    void drop_buffers(std::int64_t units) FAULTLINE_SIGNAL_SAFE {
        add(-units);
        if (most_buffers_.load(std::memory_order_relaxed) != kUnlimited) {
            buffers_.fetch_sub(units, std::memory_order_relaxed);
        }
    }

    /// Returns how many units the spare lacks for the buffer that was refused last.
    [[nodiscard]] std::int64_t spare_wanted() const FAULTLINE_SIGNAL_SAFE {
        const std::int64_t wanted = wanted_.load(std::memory_order_relaxed);
        if (wanted == 0) return 0;
        const std::int64_t taken = buffers_.load(std::memory_order_relaxed);
        if (taken + wanted > most_buffers_.load(std::memory_order_relaxed)) return 0;
        return std::max<std::int64_t>(wanted - spare_.load(std::memory_order_relaxed), 0);
    }
    /// Adds to the spare. The caller has made sure that the memory is free.
    void add_spare(std::int64_t units) FAULTLINE_SIGNAL_SAFE {
        add(units);
        spare_.fetch_add(units, std::memory_order_relaxed);
    }

private:
    static constexpr std::int64_t kUnlimited = INT64_MAX;

    std::atomic<std::int64_t> units_{0};  // includes the spare
    std::atomic<std::int64_t> spare_{0};
    std::atomic<std::int64_t> wanted_{0};   // units of the buffer that was refused last; 0: none since one was taken
    std::atomic<std::int64_t> buffers_{0};  // units that came out of the spare
    std::atomic<std::int64_t> most_buffers_{kUnlimited};
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
    /// Adds the memory of a new buffer, if there is enough for one: see RecordMemory.
    [[nodiscard]] bool add_buffer(std::int64_t units) FAULTLINE_SIGNAL_SAFE {
        if (memory_ == nullptr) return true;
        if (!memory_->take_buffer(units)) return false;
        units_.fetch_add(units, std::memory_order_relaxed);
        return true;
    }
    /// Undoes `add_buffer`, before the buffer is touched.
    void remove_buffer(std::int64_t units) FAULTLINE_SIGNAL_SAFE {
        if (memory_ == nullptr) return;
        units_.fetch_sub(units, std::memory_order_relaxed);
        memory_->return_buffer(units);
    }
    /// Gives up buffers that are unmapped.
    void drop_buffers(std::int64_t units) FAULTLINE_SIGNAL_SAFE {
        if (memory_ == nullptr) return;
        units_.fetch_sub(units, std::memory_order_relaxed);
        memory_->drop_buffers(units);
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
