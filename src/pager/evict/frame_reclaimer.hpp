// FrameReclaimer: gets frames for faults. It takes free frames from the budget; when there are none, the faulting
// thread evicts a batch of pages itself. If the stores wait for a device, the housekeeper keeps a few frames free; this
// wakes it, and does its work.
#pragma once

#include "core/signal_safe.hpp"
#include "pager/core.hpp"
#include "pager/evict/evictor.hpp"
#include "pager/evict/split_keeper.hpp"
#include "store/backing_store.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>

namespace faultline::pager {

/// The caller of what is marked signal-safe is a reader of RegionMap::readers() and has signals blocked.
class FrameReclaimer final : public store::DuringRead {
public:
    FrameReclaimer(PagerCore& core, Evictor& evictor, SplitKeeper& split) noexcept
        : core_{core}, evictor_{evictor}, split_{split} {}

    /// Reserves `units`, and evicts pages until there are enough. The result is false in a boolean context if the store
    /// has refused pages, or the kernel has held them, for longer than Config::full_disk_patience. Signal-safe.
    [[nodiscard]] FrameReservation reserve(std::int64_t units) FAULTLINE_SIGNAL_SAFE;

    /// Evicts pages until about `units` are free, on the calling thread. Signal-safe.
    Reclaimed reclaim(std::int64_t units) FAULTLINE_SIGNAL_SAFE;

    /// Evicts a few pages for the next faults, if free frames run short: the thread waits for the disk, and would only
    /// look for the completion. Signal-safe.
    void work_during_read() FAULTLINE_SIGNAL_SAFE override;

    /// Returns how many units prefetches may take: what is free, or can be freed at once by the thread that needs it.
    [[nodiscard]] std::int64_t units_for_prefetch() const FAULTLINE_SIGNAL_SAFE;

    /// Evicts pages, if faulting threads do, so that about `units` are free for a prefetch. Signal-safe.
    void free_for_prefetch(std::int64_t units) FAULTLINE_SIGNAL_SAFE;

    /// Lets the housekeeper free about `units` for a prefetch in the background. Signal-safe.
    void request_for_prefetch(std::int64_t units) FAULTLINE_SIGNAL_SAFE;

    /// Wakes the housekeeper if frames or mappings run low, or if the stores need it. Signal-safe.
    void wake_when_low() FAULTLINE_SIGNAL_SAFE;

    /// Evicts until enough frames are free and mappings do not run low. Then returns one piece of freed space to the
    /// file system. Returns true if more space is to be returned: eviction comes before each piece. Called on the
    /// housekeeper's thread.
    [[nodiscard]] bool keep_house(store::WriteQueue& queue);

private:
    /// True if faulting threads evict, and the housekeeper keeps no frames free for them.
    [[nodiscard]] bool faults_evict() const FAULTLINE_SIGNAL_SAFE {
        return !core_.housekeeper || core_.write_wait.is_short();
    }
    /// Returns the number of free units below which the housekeeper is woken.
    [[nodiscard]] std::int64_t low_level() const FAULTLINE_SIGNAL_SAFE {
        return (core_.limit.keep_free.load(std::memory_order_relaxed) + 1) / 2;
    }
    [[nodiscard]] bool reserve_by_evicting(std::int64_t units) FAULTLINE_SIGNAL_SAFE;
    Reclaimed reclaim_in_turn(std::int64_t units) FAULTLINE_SIGNAL_SAFE;
    void wait_for_evicting_thread(const FrameBudget::Watch& watch) const FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] bool reserve_within(std::int64_t units, std::chrono::nanoseconds pause) FAULTLINE_SIGNAL_SAFE;
    [[nodiscard]] std::int64_t frames_to_keep_free(std::int64_t requested) FAULTLINE_SIGNAL_SAFE;
    void evict_ahead(store::WriteQueue& queue) FAULTLINE_SIGNAL_SAFE;
    void look_at_split(store::WriteQueue& queue) FAULTLINE_SIGNAL_SAFE;
    void do_upkeep(store::WriteQueue& queue) FAULTLINE_SIGNAL_SAFE;

    PagerCore& core_;
    Evictor& evictor_;
    SplitKeeper& split_;
    std::atomic<bool> evicting_{false};        // a faulting thread evicts a batch
    std::atomic<std::int64_t> batch_time_{0};  // nanoseconds that the latest such batch took
    std::atomic<std::int64_t> requested_{0};   // units for prefetches, which the housekeeper has not seen yet
};

}  // namespace faultline::pager
