#include "pager/evict/frame_reclaimer.hpp"

#include "pager/region/region_reader.hpp"
#include "sys/clock.hpp"
#include "sys/page_merging.hpp"

#include <algorithm>

namespace faultline::pager {

FrameReservation FrameReclaimer::reserve(std::int64_t units) FAULTLINE_SIGNAL_SAFE {
    split_.fill_spare();
    if (!core_.budget.try_reserve(units) && !reserve_by_evicting(units)) return {};
    wake_when_low();
    return {core_.budget, units};
}

void FrameReclaimer::wake_when_low() FAULTLINE_SIGNAL_SAFE {
    if (!core_.housekeeper) return;
    const bool frames_run_low = core_.budget.available() < low_level() && !faults_evict();
    if (frames_run_low || core_.mappers.low_on_mappings()) core_.housekeeper->wake();
}

std::int64_t FrameReclaimer::units_for_prefetch() const FAULTLINE_SIGNAL_SAFE {
    const std::int64_t available = core_.budget.available();
    return faults_evict() ? std::max(available, core_.limit.most_kept_free.load(std::memory_order_relaxed)) : available;
}

void FrameReclaimer::request_for_prefetch(std::int64_t units) FAULTLINE_SIGNAL_SAFE {
    // Twice as many: the frames for the next window are to be free when it is due.
    if (!core_.housekeeper || !faults_evict() || core_.budget.available() >= 2 * units) return;
    requested_.store(std::min(3 * units, units_for_prefetch()), std::memory_order_relaxed);
    core_.housekeeper->wake();
}

void FrameReclaimer::free_for_prefetch(std::int64_t units) FAULTLINE_SIGNAL_SAFE {
    const std::int64_t missing = units - core_.budget.available();
    if (missing > 0 && faults_evict()) reclaim(missing);
}

/// Evicts on this thread until the frames are reserved: the housekeeper has fallen behind, or there is none.
bool FrameReclaimer::reserve_by_evicting(std::int64_t units) FAULTLINE_SIGNAL_SAFE {
    core_.counters.add(Count::direct_reclaims);
    if (!faults_evict() && core_.limit.most_kept_free.load(std::memory_order_relaxed) > 0) core_.wake_housekeeper();
    std::chrono::nanoseconds give_up_at{};
    for (;;) {
        const FrameBudget::Watch watch{core_.budget};
        if (core_.budget.try_reserve(units)) return true;
        wait_for_evicting_thread(watch);
        if (core_.budget.try_reserve(units)) return true;
        const Reclaimed reclaimed = reclaim_in_turn(units);
        if (core_.budget.try_reserve(units)) return true;
        const bool store_refuses = reclaimed.write_error != 0 && reclaimed.units == 0;
        const bool kernel_refuses = reclaimed.refused && !reclaimed.progress;
        if (store_refuses || kernel_refuses) {
            // Neither wakes us when it changes its mind: look again soon, but not for ever.
            const std::chrono::nanoseconds now = sys::monotonic_time();
            if (give_up_at.count() == 0) give_up_at = now + core_.config.full_disk_patience;
            if (now >= give_up_at) return false;
            if (reserve_within(units, std::chrono::milliseconds{kernel_refuses ? 1 : 10})) return true;
        } else if (!reclaimed.progress) {
            watch.wait(nullptr);  // other threads hold all frames, and will release or publish them
        }
    }
}

/// Sleeps while another faulting thread evicts a batch, if the batch takes long: it frees frames for both. Two threads
/// that evict at once interrupt each other's CPU for each page that they unmap; a CPU without work is not interrupted.
void FrameReclaimer::wait_for_evicting_thread(const FrameBudget::Watch& watch) const FAULTLINE_SIGNAL_SAFE {
    constexpr std::int64_t kWorthASleep = 150'000;  // nanoseconds
    constexpr std::chrono::nanoseconds kMost = std::chrono::milliseconds{1};
    if (core_.limit.frames_are_few.load(std::memory_order_relaxed)) return;  // a batch is not enough for two threads
    if (evicting_.load() && faults_evict() && batch_time_.load(std::memory_order_relaxed) > kWorthASleep) {
        watch.wait(&kMost);
    }
}

/// Evicts pages on this thread; other threads may wait for it meanwhile.
Reclaimed FrameReclaimer::reclaim_in_turn(std::int64_t units) FAULTLINE_SIGNAL_SAFE {
    const bool first = !evicting_.exchange(true);
    const std::chrono::nanoseconds started = sys::monotonic_time();
    const Reclaimed reclaimed = reclaim(units);
    batch_time_.store((sys::monotonic_time() - started).count(), std::memory_order_relaxed);
    if (first) evicting_.store(false);
    return reclaimed;
}

/// Waits for frames that other threads free, without asking store or kernel again. False when `pause` is over.
bool FrameReclaimer::reserve_within(std::int64_t units, std::chrono::nanoseconds pause) FAULTLINE_SIGNAL_SAFE {
    const std::chrono::nanoseconds until = sys::monotonic_time() + pause;
    for (;;) {
        const FrameBudget::Watch watch{core_.budget};
        if (core_.budget.try_reserve(units)) return true;
        const std::chrono::nanoseconds left = until - sys::monotonic_time();
        if (left.count() <= 0) return false;
        watch.wait(&left);
    }
}

Reclaimed FrameReclaimer::reclaim(std::int64_t units) FAULTLINE_SIGNAL_SAFE {
    store::SequentialWriteQueue queue;
    const LimitFigures& limit = core_.limit;
    const bool alone = faults_evict();
    const std::size_t keep_staged = alone ? limit.staging_target.load(std::memory_order_relaxed) : 0;
    const std::size_t at_once = (alone ? limit.direct_batch : limit.urgent_batch).load(std::memory_order_relaxed);
    const Reclaimed reclaimed = evictor_.free_frames(units + split_.spare_wanted(), at_once, keep_staged, queue);
    split_.fill_spare();
    core_.wake_to_return_space();
    if (core_.housekeeper && core_.stores->needs_upkeep()) core_.housekeeper->wake();
    split_.look(queue);
    return reclaimed;
}

/// In time, so that the housekeeper is not woken: pages that it unmaps interrupt the CPUs of faulting threads.
void FrameReclaimer::work_during_read() FAULTLINE_SIGNAL_SAFE {
    constexpr std::size_t kMostPages = 32;  // are written in about the time of a read
    const LimitFigures& limit = core_.limit;
    if (limit.frames_are_few.load(std::memory_order_relaxed)) return;
    const std::size_t pages = std::min(kMostPages, limit.direct_batch.load(std::memory_order_relaxed));
    const auto wanted = static_cast<std::int64_t>(pages);
    if (core_.budget.available() >= (faults_evict() ? 0 : low_level()) + wanted) return;
    store::SequentialWriteQueue queue;
    evictor_.free_frames(wanted, pages, limit.staging_target.load(std::memory_order_relaxed), queue);
}

// ---- on the housekeeper's thread

bool FrameReclaimer::keep_house(store::WriteQueue& queue) {
    while (core_.mappers.low_on_mappings()) {
        const RegionReader reader;
        queue.set_pace(store::Pace::hurried);
        const Reclaimed reclaimed = evictor_.evict_fragmenting(queue);
        if (!reclaimed.progress || reclaimed.write_error != 0) break;
    }
    sys::PageMerging::update_occasionally();
    look_at_split(queue);
    evict_ahead(queue);
    do_upkeep(queue);
    look_at_split(queue);
    if (!core_.stores->has_space_to_return()) return false;
    const RegionReader reader;  // a fork waits for it
    core_.stores->return_some_space();
    return core_.stores->has_space_to_return();
}

/// How many units to keep free for faults to come: a 50th of the limit, or what prefetches have requested if faulting
/// threads evict. But no more than there are pages in the store that would have no frame even if all were taken: a
/// program that fits its limit keeps all its pages.
std::int64_t FrameReclaimer::frames_to_keep_free(std::int64_t requested) FAULTLINE_SIGNAL_SAFE {
    const std::int64_t most = faults_evict() ? requested : core_.limit.most_kept_free.load(std::memory_order_relaxed);
    if (most == 0) return 0;
    std::int64_t without = -core_.budget.available();
    const RegionReader reader;
    core_.regions.for_each_until([&](const Region& region) {
        without += region.counters().sum(Count::swapped) * region.page_units();
        return without >= most;
    });
    return std::clamp<std::int64_t>(without, 0, most);
}

/// What was requested is freed once: faulting threads that take frames as fast as they are freed would keep this thread
/// evicting for ever, beside their own evictions.
void FrameReclaimer::evict_ahead(store::WriteQueue& queue) FAULTLINE_SIGNAL_SAFE {
    std::int64_t requested = requested_.exchange(0, std::memory_order_relaxed);
    for (;;) {
        const std::int64_t keep = frames_to_keep_free(requested);
        core_.limit.keep_free.store(keep, std::memory_order_relaxed);
        const std::int64_t available = core_.budget.available();
        if (available >= keep) return;
        const RegionReader reader;
        queue.set_pace(available < keep / 4 ? store::Pace::hurried : store::Pace::calm);
        // No more pages at once than are wanted: of a small limit, a full batch would be a quarter.
        const std::int64_t wanted = std::min<std::int64_t>(keep - available, StagingBatch::kMostPages);
        const Reclaimed reclaimed =
            evictor_.free_frames(wanted, static_cast<std::size_t>(wanted), core_.limit.staging_target.load(), queue);
        if (!reclaimed.progress || reclaimed.write_error != 0) return;
        requested = std::max<std::int64_t>(requested - reclaimed.units, 0);
        do_upkeep(queue);
    }
}

/// Before eviction, since the limit of frames may fall; and after it, since memory is free for the other side then.
void FrameReclaimer::look_at_split(store::WriteQueue& queue) FAULTLINE_SIGNAL_SAFE {
    const RegionReader reader;
    split_.look(queue);
}

void FrameReclaimer::do_upkeep(store::WriteQueue& queue) FAULTLINE_SIGNAL_SAFE {
    if (!core_.stores->needs_upkeep()) return;
    const RegionReader reader;
    static_cast<void>(core_.stores->do_upkeep(queue));  // a failure is tried again
}

}  // namespace faultline::pager
