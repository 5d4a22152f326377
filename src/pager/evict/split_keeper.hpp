// SplitKeeper: holds all memory of a pager to Config::memory_limit: frames, compressed pages, and the records of both.
// MemorySplit says which share the compressed pages should have; this moves the two limits there, in such an order that
//
//   frames + compressed pages + records <= limit, always:
//
// the side that shrinks gets its new limit first, and the other side grows when the memory has become free. The records
// share the limit of the frames (FrameBudget). Buffers of threads are records; memory for one more is set aside before
// a thread touches it (RecordMemory's spare).
#pragma once

#include "core/record_memory.hpp"
#include "core/signal_safe.hpp"
#include "pager/core.hpp"
#include "pager/evict/frame_limit.hpp"
#include "pager/frame/memory_split.hpp"
#include "store/write_queue.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace faultline::pager {

/// Does nothing without Config::memory_limit. Thread-safe; what is marked so is signal-safe. Callers outside a fault
/// keep all signals blocked.
class SplitKeeper {
public:
    SplitKeeper(PagerCore& core, FrameLimit& frames) noexcept
        : core_{core}, frames_{frames}, table_{&core.stores->records()} {}
    SplitKeeper(const SplitKeeper&) = delete;
    SplitKeeper& operator=(const SplitKeeper&) = delete;

    [[nodiscard]] bool is_on() const FAULTLINE_SIGNAL_SAFE { return memory() != 0; }

    /// Returns the limit of all memory, in bytes; 0 without one.
    [[nodiscard]] std::size_t memory() const FAULTLINE_SIGNAL_SAFE { return memory_.load(); }
    /// Changes it. Memory beyond a lowered limit is freed by `look` and by eviction. Signal-safe.
    void set_memory(std::size_t bytes) FAULTLINE_SIGNAL_SAFE;

    /// Bytes that are taken.
    struct Figures {
        std::size_t frames = 0;
        std::size_t compressed = 0;
        std::size_t records = 0;
        std::size_t compressed_limit = 0;

        [[nodiscard]] std::size_t sum() const noexcept { return frames + compressed + records; }
    };
    /// Returns what is taken now. Memory that changes sides meanwhile may count twice. Signal-safe.
    [[nodiscard]] Figures now() const FAULTLINE_SIGNAL_SAFE;
    /// The same, while no limit moves: the sum is at most the limit, but after the limit was lowered. Control path.
    [[nodiscard]] Figures at_rest() noexcept;

    /// Returns true if all memory fits the limit, and so do the limits of both sides, and the frames have the least
    /// that they need. Signal-safe.
    [[nodiscard]] bool fits() const FAULTLINE_SIGNAL_SAFE;

    /// Judges the split again if enough faults have told something, and moves the limits towards it. Evicting threads
    /// call it after each batch. `queue` writes compressed pages that lose their memory, if there is no housekeeper.
    /// Signal-safe; returns at once if another thread is in it.
    void look(store::WriteQueue& queue) FAULTLINE_SIGNAL_SAFE;

    /// Returns how many units of frames should leave for a buffer that another thread lacked. Signal-safe.
    [[nodiscard]] std::int64_t spare_wanted() const FAULTLINE_SIGNAL_SAFE {
        return core_.stores->records().spare_wanted();
    }
    /// Moves free memory of frames to the spare, as far as it is wanted and free. Signal-safe.
    void fill_spare() FAULTLINE_SIGNAL_SAFE;

private:
    [[nodiscard]] bool has_work() const FAULTLINE_SIGNAL_SAFE;
    void judge() FAULTLINE_SIGNAL_SAFE;
    void move_limits() FAULTLINE_SIGNAL_SAFE;
    void grow(std::size_t frames_wanted, std::size_t compressed_wanted) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] std::size_t compressed_target() const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] std::size_t least_for_frames() const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] std::size_t records() const FAULTLINE_SIGNAL_SAFE;

    PagerCore& core_;
    FrameLimit& frames_;
    std::atomic<std::size_t> memory_{0};
    std::atomic<bool> moving_{false};  // the limits are not yet where they should be
    std::atomic<bool> busy_{false};    // a thread is in `look` or `at_rest`; it owns the members below
    MemorySplit split_;
    std::size_t share_ = 0;  // bytes for compressed pages, as the rule wants it
    core::RecordCharge table_;
};

}  // namespace faultline::pager
